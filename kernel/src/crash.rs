// SPDX-License-Identifier: MIT OR Apache-2.0
//! Crashes on demand, to check that each protection works and that the dump names the culprit.
//!
//! Each really does what it says. If nothing stops it, it returns and reports that.

use crate::machine::fault;
use crate::{power, println};

/// Ways to crash, each testing one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// A panic.
    Panic,
    /// A write to address 0.
    Null,
    /// A write to the kernel's text.
    Text,
    /// A write to read-only data.
    Rodata,
    /// Execution of a page that holds data.
    Exec,
    /// A stack overflow into the guard page; Xen ends a PV guest without a dump.
    Stack,
}

/// Crashes the guest.
pub fn crash(kind: Crash) -> ! {
    match kind {
        Crash::Panic => panic!("crash panic, as asked"),
        Crash::Null => fault::write_null(),
        Crash::Text => fault::write_text(),
        Crash::Rodata => fault::write_rodata(),
        Crash::Exec => fault::execute_data(),
        Crash::Stack => fault::overflow_stack(),
    }
    println!("crash: nothing stopped {kind:?}");
    power::crash()
}
