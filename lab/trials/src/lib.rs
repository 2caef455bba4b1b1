//! Guests that test: what each does, as a library that the host tests on FakeXen; the small
//! programs in `bin/` boot it on a real Xen.
//!
//! Nothing of it is in the guest that people run.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conformance;
pub mod cycles;
pub mod exhaust;
pub mod false_peer;
pub mod hostile;
pub mod model;
