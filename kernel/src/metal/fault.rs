// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that memory protection must stop. Each function really commits one.
#![expect(unsafe_code, reason = "the point is to break the rules")]

use core::arch::asm;
use core::hint::black_box;
use core::ptr;

use super::{image, memory};

/// Stores a byte where nothing is mapped.
pub fn write_null() {
    write_to(0);
}

/// Stores a byte in the kernel's text.
pub fn write_text() {
    write_to(image::text().start);
}

/// Stores a byte in read-only data.
pub fn write_rodata() {
    write_to(image::rodata().start);
}

/// Executes bytes on the stack.
pub fn execute_data() {
    execute(memory::stack::bounds().start);
}

/// Overflows the stack.
pub fn overflow_stack() {
    crash_by_recursion(0);
}

#[inline(never)]
fn write_to(address: usize) {
    let target = black_box(ptr::with_exposed_provenance_mut::<u8>(address));
    // SAFETY: none. The fault that follows is wanted.
    unsafe { asm!("mov byte ptr [{}], 0xcc", in(reg) target, options(nostack)) };
}

#[inline(never)]
fn execute(address: usize) {
    // SAFETY: none. The fault that follows is wanted.
    unsafe { asm!("call {}", in(reg) black_box(address), clobber_abi("C")) };
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is how a stack overflows")]
fn crash_by_recursion(depth: u64) -> u64 {
    let filler = black_box([depth; 16]);
    crash_by_recursion(depth + 1) + filler[0]
}
