// SPDX-License-Identifier: MIT OR Apache-2.0
//! The common part of all stubs: the registers of a [`TrapFrame`](super::frame::TrapFrame).

/// Pushes the registers, calls `on_trap`, pops them, and drops the vector and the error code.
///
/// That leaves 22 words below a multiple of 16, so the stack is aligned for the call.
macro_rules! call_handler {
    () => {
        "
    push rax
    push rbx
    push rcx
    push rdx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    mov rdi, rsp
    call {on_trap}
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rdx
    pop rcx
    pop rbx
    pop rax
    add rsp, 16
"
    };
}
pub(crate) use call_handler;
