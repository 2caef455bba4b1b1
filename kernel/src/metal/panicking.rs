// SPDX-License-Identifier: MIT OR Apache-2.0
//! The panic handler: prints the location and the callers, and ends the domain as crashed.
#![expect(unsafe_code, reason = "RBP is read by an instruction")]

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use super::{backtrace, console};
use crate::{power, println};

/// Set by the first panic or fatal trap. A second one stops immediately.
static DYING: AtomicBool = AtomicBool::new(false);

/// Whether this is the first fatal error. Later ones print only one line, since printing itself may
/// be what fails.
pub fn first_fatality() -> bool {
    !DYING.swap(true, Ordering::Relaxed)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    console::fresh_line();
    if !first_fatality() {
        println!("panicked while dying: {}", info.message());
        power::crash();
    }
    match info.location() {
        Some(location) => println!("panicked at {location}: {}", info.message()),
        None => println!("panicked: {}", info.message()),
    }
    println!("backtrace:");
    let rbp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) rbp, options(nomem, nostack, preserves_flags)) };
    backtrace::print(rbp);
    power::crash();
}
