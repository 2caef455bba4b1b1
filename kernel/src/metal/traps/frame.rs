// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processor state at an exception, as the stubs leave it on the stack.

/// Registers at the exception. The stubs push them from the last field to the first; Xen pushes
/// those from `rip` on, and `error` where the exception has one.
#[repr(C)]
#[derive(Debug)]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    /// The selector, and in bits 32 to 39 the upcall mask that was in force.
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// An exception's short name in the manuals, and what it means.
pub fn name(vector: u64) -> (&'static str, &'static str) {
    match vector {
        0 => ("#DE", "division by zero, or its result does not fit"),
        1 => ("#DB", "debug"),
        3 => ("#BP", "breakpoint"),
        4 => ("#OF", "overflow"),
        5 => ("#BR", "bound range exceeded"),
        6 => ("#UD", "invalid instruction"),
        7 => ("#NM", "no floating-point unit"),
        10 => ("#TS", "invalid task state segment"),
        11 => ("#NP", "segment not present"),
        12 => ("#SS", "stack fault"),
        13 => ("#GP", "general protection"),
        14 => ("#PF", "page fault"),
        16 => ("#MF", "floating-point error"),
        17 => ("#AC", "alignment check"),
        18 => ("#MC", "machine check"),
        19 => ("#XM", "SIMD floating-point error"),
        21 => ("#CP", "control protection"),
        _ => ("#??", "unknown exception"),
    }
}
