// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the shell needs of the kernel besides the seam of `drivers`.

use log::LevelFilter;

use crate::demo::DemoPlan;

/// How to crash. Each kind shows one protection at work.
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
    /// A stack that overflows into its guard page; a PV guest is ended by Xen, without a dump.
    Stack,
}

/// How the guest is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Poweroff,
    Reboot,
    Crash(CrashKind),
}

/// Bytes of the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUsage {
    /// In use.
    pub used: u64,
    /// Free.
    pub free: u64,
}

/// The machine that the shell runs on.
///
/// On metal the methods that end the guest don't return. In a test they do, and the shell ends.
pub trait Machine {
    /// How Xen runs the guest: `pv` or `pvh`.
    fn mode(&self) -> &'static str;

    /// The state of the heap.
    fn heap(&self) -> HeapUsage;

    /// The deepest use of any stack so far, in bytes.
    fn stack(&self) -> u64;

    /// How long this guest has had a processor so far, in nanoseconds.
    fn cpu(&self) -> u64;

    /// Sets the least severe level that is logged.
    fn set_log_level(&self, level: LevelFilter);

    /// How much the demo does.
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
