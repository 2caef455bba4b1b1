// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handles exceptions.
//!
//! An exception at an instruction with a fix-up resumes there. Any other is fatal: a dump, the
//! hooks of `power::on_crash`, SHUTDOWN_crash.

use super::frame::TrapFrame;
use super::{dump, fixup};
use crate::metal::panicking;
use crate::{power, println};

/// Called by the stub of every exception. When it returns, execution resumes at `frame.rip`.
pub extern "C" fn on_trap(frame: &mut TrapFrame) {
    if let Some(resume) = fixup::find(frame.rip) {
        frame.rip = resume;
        return;
    }
    if panicking::first_fatality() {
        dump::print(frame);
    } else {
        println!("TRAP {} at {:016x} while dying", frame.vector, frame.rip);
    }
    power::crash()
}
