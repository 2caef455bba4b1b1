// SPDX-License-Identifier: MIT OR Apache-2.0
//! `elfnote.h`: notes in the image that tell the domain builder how to load it.
//!
//! The notes' owner is `Xen`. A number has 4 or 8 bytes; a string ends in NUL.

/// Free text.
pub const XEN_ELFNOTE_INFO: u32 = 0;
/// Number: virtual address of the entry point.
pub const XEN_ELFNOTE_ENTRY: u32 = 1;
/// Number: virtual address of the page that the builder fills with hypercall stubs.
pub const XEN_ELFNOTE_HYPERCALL_PAGE: u32 = 2;
/// Number: virtual address at which guest physical address 0 is mapped.
pub const XEN_ELFNOTE_VIRT_BASE: u32 = 3;
/// Number: what to subtract from the segments' physical addresses; needs `VIRT_BASE`.
pub const XEN_ELFNOTE_PADDR_OFFSET: u32 = 4;
/// String: the interface, `xen-3.0`.
pub const XEN_ELFNOTE_XEN_VERSION: u32 = 5;
/// String: the guest's name.
pub const XEN_ELFNOTE_GUEST_OS: u32 = 6;
/// String: the guest's version.
pub const XEN_ELFNOTE_GUEST_VERSION: u32 = 7;
/// String: the loader to use, `generic`.
pub const XEN_ELFNOTE_LOADER: u32 = 8;
/// String: `yes` for 64-bit guests.
pub const XEN_ELFNOTE_PAE_MODE: u32 = 9;
/// String: the features that the guest supports, separated by `|`. A leading `!` marks a required
/// one.
pub const XEN_ELFNOTE_FEATURES: u32 = 10;
/// String: `yes` loads the symbol table.
pub const XEN_ELFNOTE_BSD_SYMTAB: u32 = 11;
/// Number: the lowest address that Xen may use (32 bits).
pub const XEN_ELFNOTE_HV_START_LOW: u32 = 12;
/// Pairs of numbers, mask and value: how to recognise a valid page-table entry.
pub const XEN_ELFNOTE_L1_MFN_VALID: u32 = 13;
/// Number: 1 if the guest expects the hypercall's result to report a cancelled suspend.
pub const XEN_ELFNOTE_SUSPEND_CANCEL: u32 = 14;
/// Number: virtual address at which to map the list of frames.
pub const XEN_ELFNOTE_INIT_P2M: u32 = 15;
/// Number: 1 if the guest accepts a module that is unmapped and given by frame number.
pub const XEN_ELFNOTE_MOD_START_PFN: u32 = 16;
/// Number: bit mask of supported features.
pub const XEN_ELFNOTE_SUPPORTED_FEATURES: u32 = 17;
/// Number: the physical entry point of a PVH guest. An image with this note can be started as PVH.
pub const XEN_ELFNOTE_PHYS32_ENTRY: u32 = 18;
