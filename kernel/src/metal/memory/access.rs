// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and stores that must be opaque to the compiler: to memory that others write, and to
//! addresses that may fault.
//!
//! A plain `memcpy` from a page that a peer writes is a data race; `rep movs` is one opaque
//! instruction that reads each byte once. A faulting store resumes at its fix-up address, which
//! `traps/fixup.rs` finds in the section `.fixups`.
#![expect(unsafe_code, reason = "copies by address, in assembly")]

use core::arch::asm;

use super::PAGE_SIZE;

/// Copies `len` bytes, whole words first.
///
/// # Safety
/// `src` may be read and `dst` written for `len` bytes; they don't overlap.
#[inline]
pub unsafe fn copy(dst: usize, src: usize, len: usize) {
    // SAFETY: the caller's promise. The direction flag is clear, as the ABI requires.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {tail:e}",
            "rep movsb",
            tail = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rdi") dst => _,
            inout("rsi") src => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Zeroes the page at `address`.
///
/// # Safety
/// The page may be written.
#[inline]
pub unsafe fn zero_page(address: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "rep stosq",
            inout("rcx") PAGE_SIZE / 8 => _,
            inout("rdi") address => _,
            in("rax") 0_u64,
            options(nostack, preserves_flags),
        );
    }
}

/// Stores one byte; returns whether that was possible. A page fault is caught.
///
/// # Safety
/// Only the caller relies on the byte at `address`.
pub unsafe fn probe_write(address: usize, value: u8) -> bool {
    let stored: u32;
    // SAFETY: the caller's promise; a fault at 2 resumes at 3, where `stored` is still zero.
    unsafe {
        asm!(
            "xor {stored:e}, {stored:e}",
            "2: mov byte ptr [{address}], {value}",
            "mov {stored:e}, 1",
            "3:",
            ".pushsection .fixups, \"a\"",
            ".quad 2b, 3b",
            ".popsection",
            stored = out(reg) stored,
            address = in(reg) address,
            value = in(reg_byte) value,
            options(nostack),
        );
    }
    stored != 0
}
