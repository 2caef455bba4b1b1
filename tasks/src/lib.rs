// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest does once it has booted.
//!
//! * [`shell`]: commands to share, map, inspect and wait, from the kernel command line and the
//!   console. Everything else here is reached through it.
//! * The self-test: one guest grants pages to itself and checks what the services promise.
//! * [`demo`]: two guests find each other through xenstore and show sharing step by step. Its
//!   protocol is public.
//! * Behaviour under xl: `xl shutdown` and `xl reboot` are obeyed and acknowledged, and a node in
//!   xenstore shows that the guest is there.
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
//! [`cmdline`] parses the kernel's command line; [`machine`] is what the shell needs from the
//! kernel; [`text`] has strings whose growth may fail; [`pattern`] has the bytes that `fill` writes
//! and both sides check; [`verdict`] is common to all checks.
//!
//! All of it is safe code over `drivers` and a [`Machine`]. It runs unchanged in a real guest and
//! on a fake Xen, where it is tested. A kernel brings the services up and runs [`shell::run`];
//! concurrently it runs `Services::upkeep`, which frees parked pages and flushes the console.
//!
//! No input makes it panic. Lists whose length depends on input grow with `try_reserve`.
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
