// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backtraces along the chain of frame pointers.
//!
//! Relies on `-Cforce-frame-pointers`: RBP points at the caller's RBP, with the return address
//! above it; zero ends the chain (boot/entry.rs, memory/stack.rs). Nothing is trusted: each frame
//! must lie in mapped memory, above the previous one.
#![expect(unsafe_code, reason = "frames are read by address")]

use core::ptr;

use super::memory::translate;
use super::{image, symbols};
use crate::println;

/// Maximum number of frames printed, so that a dump fits on a screen.
const MAX_FRAMES: usize = 12;

/// Prints the callers, from the frame at `rbp` on.
pub fn print(mut rbp: usize) {
    for _ in 0..MAX_FRAMES {
        if rbp == 0 {
            return;
        }
        let Some((next, caller)) = frame(rbp) else {
            println!("  (the chain breaks at frame {rbp:016x})");
            return;
        };
        if image::text().contains(&caller) {
            // Minus one, since a call that never returns may be its function's last instruction.
            print_function(caller, caller - 1);
        }
        if next != 0 && next <= rbp {
            println!("  (the chain turns back at frame {rbp:016x})");
            return;
        }
        rbp = next;
    }
    println!("  ...");
}

/// Prints one line: `address`, and the function in which `within` lies.
fn print_function(address: usize, within: usize) {
    match symbols::lookup(within) {
        Some(symbol) => println!("  {address:016x} {symbol}"),
        None => println!("  {address:016x} ?"),
    }
}

/// The caller's frame and the return address, if there is a frame at `rbp`.
fn frame(rbp: usize) -> Option<(usize, usize)> {
    if !rbp.is_multiple_of(8) || !translate::is_readable(rbp, 16) {
        return None;
    }
    let frame = ptr::with_exposed_provenance::<[usize; 2]>(rbp);
    // SAFETY: aligned and mapped, as just checked; any bytes are valid.
    let [next, caller] = unsafe { frame.read_volatile() };
    Some((next, caller))
}
