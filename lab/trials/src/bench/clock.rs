// SPDX-License-Identifier: MIT OR Apache-2.0
//! The clock of all guests that measure: the time stamp counter, which counts instructions under
//! QEMU's `-icount shift=0,sleep=off`.
//!
//! Xen lets a guest read it in dom0's place, and elsewhere with xl's `tsc_mode="native"`.
#![expect(unsafe_code, reason = "the time stamp counter is read by an instruction")]

use core::arch::x86_64::{_mm_lfence, _rdtsc};

/// Reads the counter. Each reading is one call, which `lab/trace` finds by this name.
#[inline(never)]
pub fn ticks() -> u64 {
    // SAFETY: every processor of the target has the instruction.
    unsafe { _mm_lfence() };
    // SAFETY: Xen lets the guest read the counter, or emulates it.
    unsafe { _rdtsc() }
}
