# An exception without an error code: a zero takes its place.
.macro trap name, vector
    .globl \name
    .type \name, @function
\name:
    pop rcx
    pop r11
    push 0
    push \vector
    jmp trap_common
    .size \name, . - \name
.endm

# An exception with an error code.
.macro trap_with_error name, vector
    .globl \name
    .type \name, @function
\name:
    pop rcx
    pop r11
    push \vector
    jmp trap_common
    .size \name, . - \name
.endm

# What Xen pushed, without RCX and R11, is at RSP: return there, in ring 3.
.macro return_from_xen
    or dword ptr [rsp + 8], 3
    or dword ptr [rsp + 32], 3
    iretq
.endm

.pushsection .text.traps, "ax", @progbits

    .type trap_common, @function
trap_common:
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
    mov rdi, rsp                # 22 words below a multiple of 16: the stack is aligned
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
    add rsp, 16                 # the vector and the error code
    return_from_xen
    .size trap_common, . - trap_common

    .globl event_upcall
    .type event_upcall, @function
event_upcall:
    pop rcx
    pop r11
    return_from_xen
    .size event_upcall, . - event_upcall

    .globl failsafe_callback
    .type failsafe_callback, @function
failsafe_callback:
    xor ebp, ebp
    and rsp, -16
    call {on_failsafe}
    ud2
    .size failsafe_callback, . - failsafe_callback
