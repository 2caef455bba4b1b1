// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first instructions of a PV guest, on the one-page stack that the domain builder made.
//!
//! The state at entry (xen/include/public/xen.h, "Start of day"): RSI is the address of start_info,
//! RSP the end of the boot stack, the last thing the builder loaded; everything is mapped, .bss is
//! zero, event upcalls are masked, the segments are Xen's.
#![expect(unsafe_code, reason = "the entry point is assembly")]

use core::arch::global_asm;

global_asm!(
    r#"
    .pushsection .text.entry, "ax", @progbits
    .globl _start
    .type _start, @function
_start:
    xor ebp, ebp            # the chain of frames, which backtraces follow, ends here
    mov rdi, rsi
    mov rsi, rsp
    call {first}
    ud2
    .size _start, . - _start
    .popsection
    "#,
    first = sym super::on_boot_stack,
);
