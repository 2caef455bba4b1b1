# SPDX-License-Identifier: MIT OR Apache-2.0
# A PVH guest's first instructions: from 32 bits without paging to 64 bits at the linked address.
#
# One level 2 table maps the first GiB by pages of 2 MiB. Two tables above it show that at address 0,
# for the code that runs here, and at BASE, where the image is linked.

.set BASE, 0xffffffff80000000

.pushsection .pages, "aw", @nobits
    .balign 4096
    .globl pvh_l4, pvh_l2, pvh_boot_stack
pvh_l4:
    .skip 4096
pvh_l3:
    .skip 4096
pvh_l2:
    .skip 4096
    .skip 4096
pvh_boot_stack:
.popsection

.pushsection .rodata.pvh, "a", @progbits
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff        # 8: code, 64 bits, ring 0
    .quad 0x00cf92000000ffff        # 16: data
gdt_pointer:
    .word . - gdt - 1
    .long gdt - BASE
.popsection

.pushsection .text.entry, "ax", @progbits
    .code32
    .globl pvh_start
    .type pvh_start, @function
pvh_start:
    cld
    movl $(pvh_l2 - BASE), %edi
    movl $0xe3, %eax                # present, writable, accessed, dirty, 2 MiB
1:  movl %eax, (%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $(pvh_l2 - BASE + 4096), %edi
    jb 1b
    movl $(pvh_l2 - BASE + 0x63), pvh_l3 - BASE
    movl $(pvh_l2 - BASE + 0x63), pvh_l3 - BASE + 510 * 8
    movl $(pvh_l3 - BASE + 0x63), pvh_l4 - BASE
    movl $(pvh_l3 - BASE + 0x63), pvh_l4 - BASE + 511 * 8
    movl $(pvh_l4 - BASE), %eax
    movl %eax, %cr3
    movl $0x20, %eax                # PAE
    movl %eax, %cr4
    movl $0xc0000080, %ecx          # EFER: long mode, no-execute
    rdmsr
    orl $0x900, %eax
    wrmsr
    movl $0x80010033, %eax          # paging, write protection in ring 0 too
    movl %eax, %cr0
    lgdt gdt_pointer - BASE
    ljmp $8, $(2f - BASE)
    .code64
2:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $pvh_boot_stack, %rsp
    movl %ebx, %edi
    xorl %ebp, %ebp                 # the chain of frames, which backtraces follow, ends here
    movq $3f, %rax
    jmpq *%rax                      # from the low addresses to those of the image
3:  call {first}
    ud2
    .size pvh_start, . - pvh_start
.popsection
