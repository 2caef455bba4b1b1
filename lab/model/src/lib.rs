// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reference model of gntalloc and gntdev, compared with the services after each of many random
//! calls.
//!
//! The model states the contract in the simplest code. The rig carries out each call on the
//! services and on the model. A [`Stage`] is where this happens: three guests on FakeXen, or one
//! guest that grants to itself, on FakeXen or on a real Xen.
//!
//! Any difference panics: see [`run`].
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
//! * [`sequence`] draws calls, [`run`] makes and compares them, [`shrink`] finds the few that cause
//!   a failure.
//! * [`Stage`] is where they are made: [`LoopBack`] is one, and `fake` has others.
//! * `wild`, on FakeXen only, makes calls of the Linux APIs from arbitrary bytes, for the fuzzers.
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
