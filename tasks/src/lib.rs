// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest does once it is up.
//!
//! * [`shell`]: commands to share, map, look and wait, from the kernel command line and the
//!   console. Everything else here is reached through it.
//! * The selftest: one guest grants pages to itself and checks what the services promise.
//! * [`demo`]: two guests find each other through xenstore and show sharing step by step. Its
//!   protocol is public.
//! * Manners under xl: `xl shutdown` and `xl reboot` are heard and answered, and a node in xenstore
//!   says that the guest is there.
//!
//! ```
//! use fake_xen::{Pair, Task};
//! use tasks::{DemoPlan, Part, play};
//!
//! // The demo, whole, on a fake Xen: two guests that know nothing of each other.
//! let Pair { world, alice, bob } = Pair::new();
//! let granter = async {
//!     let played = play(&alice, Part::Granter, DemoPlan { trips: 100, bytes: 1 << 16 }).await;
//!     assert_eq!(played.to_string(), "ok demo granter passed=7 failed=0");
//! };
//! let mapper = async {
//!     let played = play(&bob, Part::Mapper, DemoPlan { trips: 100, bytes: 1 << 16 }).await;
//!     assert_eq!(played.to_string(), "ok demo mapper passed=7 failed=0");
//! };
//! world.run([Task::new(&alice.events, granter), Task::new(&bob.events, mapper)]);
//! ```
//!
//! # Map
//!
//! [`cmdline`] takes the kernel's command line apart, [`machine`] is what the shell wants of the
//! kernel, [`text`] has strings that may be refused memory. [`pattern`] has the bytes that `fill` writes and both sides check; [`verdict`] is what the checks
//! have in common.
//!
//! All of it is safe code over `drivers` and a [`Machine`]. It runs unchanged on metal and on a
//! fake Xen, where it is tested. A kernel brings the services up, runs [`shell::run`], and beside
//! it `Services::upkeep`, which frees parked pages and moves on what was printed.
//!
//! No input makes it panic. Lists whose length a user chooses grow with `try_reserve`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod cmdline;
pub mod demo;
pub mod machine;
mod manners;
pub mod pattern;
mod selftest;
pub mod shell;
pub mod text;
pub mod verdict;

pub use demo::{DemoPlan, Part, play};
pub use machine::{CrashKind, HeapUsage, Machine};
