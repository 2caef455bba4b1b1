// SPDX-License-Identifier: MIT OR Apache-2.0
//! `arch-x86/hvm/start_info.h`: what a PVH guest starts with.

use crate::xen::Sif;

/// The value of [`HvmStartInfo::magic`].
pub const XEN_HVM_START_MAGIC_VALUE: u32 = 0x336e_c578;

c_enum! {
    /// `XEN_HVM_MEMMAP_TYPE_*`: what a range of guest-physical addresses is.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MemmapType(u32) {
        /// Memory.
        RAM = 1,
        /// Not for use by the guest.
        RESERVED = 2,
        /// ACPI tables. Usable as memory once they have been read.
        ACPI = 3,
        /// ACPI tables that must be preserved.
        NVS = 4,
        /// Broken memory.
        UNUSABLE = 5,
        /// Disabled memory.
        DISABLED = 6,
        /// Persistent memory.
        PMEM = 7,
    }
}

/// The structure whose guest-physical address is in `ebx` when a PVH guest starts.
#[doc(alias = "hvm_start_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HvmStartInfo {
    /// [`XEN_HVM_START_MAGIC_VALUE`].
    pub magic: u32,
    /// Has a memory map from version 1 on.
    pub version: u32,
    /// What kind of domain this is.
    pub flags: Sif,
    /// Number of modules.
    pub nr_modules: u32,
    /// Guest-physical address of their array.
    pub modlist_paddr: u64,
    /// Guest-physical address of the command line, NUL-terminated; 0 for none.
    pub cmdline_paddr: u64,
    /// Guest-physical address of ACPI's RSDP.
    pub rsdp_paddr: u64,
    /// Guest-physical address of an array of [`HvmMemmapTableEntry`].
    pub memmap_paddr: u64,
    /// Number of its entries, 0 for none.
    pub memmap_entries: u32,
    /// Zero.
    pub reserved: u32,
}
layout!(HvmStartInfo: 56 {
    magic: 0, version: 4, flags: 8, nr_modules: 12, modlist_paddr: 16, cmdline_paddr: 24,
    rsdp_paddr: 32, memmap_paddr: 40, memmap_entries: 48, reserved: 52,
});

/// One module.
#[doc(alias = "hvm_modlist_entry")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HvmModlistEntry {
    /// Its guest-physical address.
    pub paddr: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Guest-physical address of its command line.
    pub cmdline_paddr: u64,
    /// Zero.
    pub reserved: u64,
}
layout!(HvmModlistEntry: 32 { paddr: 0, size: 8, cmdline_paddr: 16, reserved: 24 });

/// One range of guest-physical addresses.
#[doc(alias = "hvm_memmap_table_entry")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HvmMemmapTableEntry {
    /// Its first address.
    pub addr: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What it is. The C header's `type`.
    #[doc(alias = "type")]
    pub type_: MemmapType,
    /// Zero.
    pub reserved: u32,
}
layout!(HvmMemmapTableEntry: 24 { addr: 0, size: 8, type_: 16, reserved: 20 });
