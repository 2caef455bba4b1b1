//! Guests that test. What each does is in this library, which the host tests on FakeXen; the small
//! programs in `bin/` boot it on a real Xen.
//!
//! Nothing of it is in the guest that people run.
#![no_std]

extern crate alloc;

pub mod bench;
pub mod conformance;
pub mod cycles;
pub mod exhaust;
mod false_peer;
pub mod hostile;
pub mod model;
