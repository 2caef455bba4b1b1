// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens at an exception.
//!
//! An exception at an instruction that has a fix-up goes on there; any other is fatal: a dump, the
//! hooks of `power::on_crash`, SHUTDOWN_crash.

use super::frame::TrapFrame;
use super::{dump, fixup};
use crate::metal::panicking;
use crate::{power, println};

/// Every exception comes here, from its stub, and goes on at `frame.rip` when this returns.
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
