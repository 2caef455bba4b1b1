// SPDX-License-Identifier: MIT OR Apache-2.0
//! `features.h`: what `XenVersionOp::GET_FEATURES` reports.

/// The number of 32-bit words that can be queried.
pub const XENFEAT_NR_SUBMAPS: u32 = 1;

c_enum! {
    /// `XENFEAT_*`: bit numbers, counted over all words.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Xenfeat(u32) {
        /// Page tables may be mapped writable.
        WRITABLE_PAGE_TABLES = 0,
        /// Descriptor tables may be mapped writable.
        WRITABLE_DESCRIPTOR_TABLES = 1,
        /// Xen translates frame numbers. Never set for PV.
        AUTO_TRANSLATED_PHYSMAP = 2,
        /// The guest kernel runs in ring 0.
        SUPERVISOR_MODE_KERNEL = 3,
        /// The top-level page table may lie above 4 GiB.
        PAE_PGDIR_ABOVE_4GB = 4,
        /// `MmuUpdateCmd::PT_UPDATE_PRESERVE_AD` works.
        MMU_PT_UPDATE_PRESERVE_AD = 5,
        /// Xen clears and copies pages for 32-bit guests.
        HIGHMEM_ASSIST = 6,
        /// Mapping a grant sets the available bits of `Gntmap::GUEST_AVAIL_MASK`.
        GNTTAB_MAP_AVAIL_BITS = 7,
        /// Events can be delivered as an interrupt vector (HVM).
        HVM_CALLBACK_VECTOR = 8,
        /// The PV clock is usable (HVM).
        HVM_SAFE_PVCLOCK = 9,
        /// Physical interrupts can be delivered as events (HVM).
        HVM_PIRQS = 10,
        /// This is the initial domain.
        DOM0 = 11,
        /// Memory operations accept virtual NUMA nodes.
        MEMORY_OP_VNODE_SUPPORTED = 13,
        /// Calls to firmware are handled (ARM).
        ARM_SMCCC_SUPPORTED = 14,
        /// The ACPI root pointer may be anywhere (PVH).
        LINUX_RSDP_UNRESTRICTED = 15,
        /// Guest frames aren't machine frames.
        NOT_DIRECT_MAPPED = 16,
        /// Guest frames are machine frames.
        DIRECT_MAPPED = 17,
    }
}
