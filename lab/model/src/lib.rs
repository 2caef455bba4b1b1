//! A reference model of gntalloc and gntdev, and random calls that are compared with it after each.
//!
//! The model says what the contract says, by the plainest means. The rig carries each call out on
//! the services and on the model. Where that happens is a [`Stage`]: three guests on FakeXen, or
//! one guest that grants to itself, on FakeXen and on a real Xen alike.
//!
//! A difference is a panic. It refuses to repair, to shrink or to judge: see [`run`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "fake")]
extern crate std;

#[cfg(feature = "fake")]
pub mod fake;
mod loopback;
mod reference;
mod rig;
mod sequence;
mod shrink;
mod stage;
#[cfg(feature = "fake")]
pub mod wild;

pub use loopback::LoopBack;
pub use reference::{Fault, Met};
pub use rig::{Op, run};
pub use sequence::{seed_of, sequence};
pub use shrink::shrink;
pub use stage::{Room, Stage};
