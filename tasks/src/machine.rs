// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the shell needs from the kernel, besides the seam of `drivers`.

use log::LevelFilter;

use crate::demo::DemoPlan;

/// Ways to crash, each testing one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
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

/// How the guest should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Poweroff,
    Reboot,
    Crash(CrashKind),
}

/// Heap usage in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUsage {
    /// In use.
    pub used: u64,
    /// Free.
    pub free: u64,
}

/// The machine that the shell runs on.
///
/// In a real guest, the methods that end the guest don't return. In a test they do, and the shell
/// ends.
pub trait Machine {
    /// How Xen runs the guest: `pv` or `pvh`.
    fn mode(&self) -> &'static str;

    /// The state of the heap.
    fn heap(&self) -> HeapUsage;

    /// The deepest stack use so far, in bytes.
    fn stack(&self) -> u64;

    /// CPU time of this guest so far, in nanoseconds.
    fn cpu(&self) -> u64;

    /// Sets the log level: the least severe level that is still logged.
    fn set_log_level(&self, level: LevelFilter);

    /// How much work the demo does.
    fn demo_plan(&self) -> DemoPlan {
        DemoPlan::FULL
    }

    /// Powers the guest off. The shell has drained the console, if anybody reads it.
    fn poweroff(&self);

    /// Reboots the guest. The shell has drained the console, if anybody reads it.
    fn reboot(&self);

    /// Crashes the guest.
    fn crash(&self, kind: CrashKind);
}
