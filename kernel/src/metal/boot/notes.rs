// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ELF notes by which Xen's domain builders recognise the image.
//!
//! The addresses come from `grantkit.ld`: VIRT_BASE here and BASE there are the same number. There
//! is no HYPERCALL_PAGE, since hypercalls are our own instructions (`hypercall.rs`). For a PVH
//! guest only PHYS32_ENTRY and the physical addresses count. The numbers are `XEN_ELFNOTE_*` from
//! xen/include/public/elfnote.h.
#![expect(unsafe_code, reason = "the notes are assembly data: Rust has no way to say `.note`")]

use core::arch::global_asm;

global_asm!(
    r#"
    .macro xen_note type, directive, value:vararg
    .balign 4
    .long 4                     # the size of the name
    .long 2f - 1f               # the size of the value
    .long \type
    .asciz "Xen"
1:  \directive \value
2:  .balign 4
    .endm

    .pushsection .note.Xen, "a", @note
    .globl xen_notes
xen_notes:
    xen_note 6,  .asciz, "Grantkit"                                 # GUEST_OS
    xen_note 8,  .asciz, "generic"                                  # LOADER
    xen_note 5,  .asciz, "xen-3.0"                                  # XEN_VERSION
    xen_note 1,  .quad,  _start                                     # ENTRY
    xen_note 3,  .quad,  0xffffffff80000000                         # VIRT_BASE
    xen_note 4,  .quad,  0                                          # PADDR_OFFSET
    xen_note 10, .asciz, "!writable_page_tables|pae_pgdir_above_4gb" # FEATURES
    xen_note 9,  .asciz, "yes"                                      # PAE_MODE
    xen_note 11, .asciz, "yes"                                      # BSD_SYMTAB
    xen_note 18, .quad,  pvh_start - 0xffffffff80000000             # PHYS32_ENTRY
    .popsection
    "#
);
