// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last hypercall.

use xen_sys::sched::ShutdownReason;

use super::console;
use crate::hypercall::system;

/// Ends the domain for `reason`, once the console daemon has read all output.
pub fn shutdown(reason: ShutdownReason) -> ! {
    console::drain();
    system::sched_shutdown(reason)
}
