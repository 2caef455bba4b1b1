//! What the guest does: a shell whose commands are all that Grantkit can, the selftest, the demo.
//!
//! Safe code over `drivers` and a [`Machine`]; it runs unchanged on metal and on FakeXen, where
//! every decision is tested. A kernel brings the services up and runs [`shell::run`]; giving
//! parked pages back in the background (`Services::reap_forever`) is a task of the kernel's.
//!
//! It refuses to panic on whatever is typed, and to allocate for it without asking first: lists
//! whose length a user chooses grow with `try_reserve`.
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
pub mod xenstore;

pub use demo::{DemoPlan, Part, play};
pub use machine::{CrashKind, HeapUsage, Machine};
