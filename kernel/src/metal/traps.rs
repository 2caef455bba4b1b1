// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exception handling, common to both modes.
//!
//! The stubs of `pv/traps` and `pvh/traps` build a [`frame::TrapFrame`] and call
//! [`handlers::on_trap`]. Not supported: nested handling, user mode.

mod dump;
mod fixup;
mod frame;
pub mod handlers;
mod registers;

pub(crate) use registers::call_handler;
