# SPDX-License-Identifier: MIT OR Apache-2.0
.pushsection .text.traps, "ax", @progbits

# One stub for each exception, 16 bytes apart. A zero takes the place of an error code where the
# processor pushes none.
    .balign 16
    .globl pvh_exceptions
    .type pvh_exceptions, @function
pvh_exceptions:
.irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .balign 16
    .if ((0x60227d00 >> \vector) & 1) == 0
    push 0
    .endif
    push \vector
    jmp pvh_trap
.endr
    .size pvh_exceptions, . - pvh_exceptions

# Waits for an interrupt. It is called with interrupts off, and comes back so.
    .globl pvh_wait
    .type pvh_wait, @function
pvh_wait:
    sti
before_halt:
    hlt
    cli
    ret
    .size pvh_wait, . - pvh_wait

# An interrupt that comes before the `hlt` ends the wait as one that comes in it does. On a processor
# none comes there; QEMU 7.2, where it emulates AMD's virtualisation, forgets on its way back into a
# guest that this was right behind an `sti`.
#
# The byte is evtchn_upcall_pending of the only vCPU. Xen sets it with the next event, and would not
# cease to interrupt as long as it is set.
    .globl pvh_event
    .type pvh_event, @function
pvh_event:
    push rax
    lea rax, [rip + before_halt]
    cmp [rsp + 8], rax
    jne 1f
    inc qword ptr [rsp + 8]     # `hlt` is one byte
1:
    movabs rax, {pending}
    mov byte ptr [rax], 0
    pop rax
    .globl pvh_nmi
    .type pvh_nmi, @function
pvh_nmi:
    iretq
    .size pvh_event, . - pvh_event

    .type pvh_trap, @function
pvh_trap:
