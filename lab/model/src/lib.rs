// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reference model of gntalloc and gntdev, and random calls that are compared with it after each.
//!
//! The model says what the contract says, by the plainest means. The rig carries each call out on
//! the services and on the model. Where that happens is a [`Stage`]: three guests on FakeXen, or
//! one guest that grants to itself, on FakeXen and on a real Xen alike.
//!
//! A difference is a panic. It refuses to repair, to shrink or to judge: see [`run`].
//!
//! ```
//! // Two hundred calls that the number 7 draws, on three guests of a fake Xen.
//! let calls = model::sequence(7, 200);
//! model::fake::run(&calls);
//! assert_eq!(calls, model::sequence(7, 200), "a number draws the same calls each time");
//! ```
//!
//! # Map
//!
//! * [`sequence`] draws calls, [`run`] makes and compares them, [`shrink`] finds the few that
//!   matter of those that failed.
//! * [`Stage`] is where they are made: `fake::run` has one, [`LoopBack`] is another.
//! * `wild`, on FakeXen alone: bytes through Linux's faces, for the fuzzers.
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
