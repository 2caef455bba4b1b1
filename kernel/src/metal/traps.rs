// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of an exception, however Xen or the processor entered the guest.
//!
//! The stubs of `pv/traps` and `pvh/traps` make a [`frame::TrapFrame`] and call
//! [`handlers::on_trap`]. Refuses: nested handling, user mode.

mod dump;
mod fixup;
mod frame;
pub mod handlers;
mod registers;

pub(crate) use registers::call_handler;
