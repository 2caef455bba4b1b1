//! What touches the machine: all of it is there under Xen only. `host.rs` stands in elsewhere.

mod backtrace;
mod boot;
pub mod clock;
pub mod console;
pub mod executor;
pub mod fault;
pub mod heap;
mod image;
mod logger;
pub mod memory;
mod panicking;
pub mod power;
mod shared_info;
mod start;
mod symbols;
mod timers;
mod traps;
