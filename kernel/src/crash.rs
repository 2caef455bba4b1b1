// SPDX-License-Identifier: MIT OR Apache-2.0
//! Crashes on demand, to see that each protection holds and that the dump names the culprit.
//!
//! Each really does the bad thing. One that comes back reports that nothing stopped it.

use crate::machine::fault;
use crate::{power, println};

/// How to crash, each to see one protection hold.
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
    /// A stack that overflows into its guard page; a PV guest is ended by Xen, without a dump.
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
