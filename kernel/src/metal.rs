// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code that touches the machine and is common to both modes. It exists only under Xen; `host.rs`
//! stands in for it elsewhere. Code for one mode alone is in `pv` and `pvh`.

mod backtrace;
pub mod boot;
pub mod clock;
pub mod console;
pub mod executor;
pub mod fault;
pub mod heap;
pub mod image;
pub mod interface;
mod logger;
pub mod memory;
mod panicking;
pub mod power;
pub mod shared_info;
mod start;
mod symbols;
mod timers;
pub mod traps;

/// How Xen runs this guest.
pub fn mode() -> crate::Mode {
    interface::interface().mode()
}
