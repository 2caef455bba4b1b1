# SPDX-License-Identifier: MIT OR Apache-2.0
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

    .type trap_common, @function
trap_common:
