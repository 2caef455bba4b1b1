// SPDX-License-Identifier: MIT OR Apache-2.0
//! Test guests. What each does is in this library, which the host's tests run on FakeXen; the small
//! programs in `bin/` boot it on a real Xen.
//!
//! None of it is part of the guest that people run.
//!
//! ```
//! use fake_xen::{Config, World};
//!
//! // One scenario of the conformance tests as our guest runs it, here on a fake Xen.
//! let guest = World::new().guest(1, Config::default());
//! let scenario = conformance::all().next().expect("there are some");
//! let lines = trials::conformance::run(scenario, &guest);
//! assert!(lines.iter().all(|line| line.starts_with(scenario.name)));
//! guest.assert_clean();
//! ```
//!
//! # Map
//!
//! * [`conformance`]: Linux's system calls on Grantkit's devices. [`model`]: random calls, compared
//!   with the reference model.
//! * [`channels`]: what moves between two guests, and what that costs each.
//! * [`exhaust`]: grants, mappings and event channels, used up. [`cycles`]: sharing, thousands of
//!   times.
//! * [`hostile`]: a hostile guest, and peers in the demo that violate its protocol.
//! * [`search`]: secrets in the memory of a guest that should no longer have them.
//! * [`bench`](mod@bench): what each operation costs.
#![no_std]

extern crate alloc;

pub mod bench;
pub mod channels;
pub mod conformance;
pub mod cycles;
pub mod exhaust;
mod false_peer;
pub mod hostile;
pub mod model;
pub mod search;
