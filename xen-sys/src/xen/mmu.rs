// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen.h`: changing page tables.

use bitflags::bitflags;

c_enum! {
    /// `MMU_*`: low two bits of [`MmuUpdate::ptr`].
    #[derive(PartialOrd, Ord, Default)]
    pub struct MmuUpdateCmd(u64) {
        /// Writes the entry.
        NORMAL_PT_UPDATE = 0,
        /// Writes the machine-to-physical table: `val` is the guest frame.
        MACHPHYS_UPDATE = 1,
        /// Writes the entry, but keeps its accessed and dirty bits.
        PT_UPDATE_PRESERVE_AD = 2,
        /// As normal, without translating the entry's frame (translated guests only).
        PT_UPDATE_NO_TRANSLATE = 3,
    }
}

/// One page-table entry to write. Never use it on one that maps a grant: only an unmap may end
/// that.
#[doc(alias = "mmu_update")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmuUpdate {
    /// Machine address of the entry, with an [`MmuUpdateCmd`] in bits 0 and 1.
    pub ptr: u64,
    /// The new entry, with a machine frame.
    pub val: u64,
}
layout!(MmuUpdate: 16 { ptr: 0, val: 8 });

c_enum! {
    /// `MMUEXT_*`: what an [`MmuextOp`] does.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MmuextCmd(u32) {
        /// Pins frame `arg1` as a level 1 table. It must be mapped read-only everywhere.
        PIN_L1_TABLE = 0,
        /// Pins frame `arg1` as a level 2 table.
        PIN_L2_TABLE = 1,
        /// Pins frame `arg1` as a level 3 table.
        PIN_L3_TABLE = 2,
        /// Pins frame `arg1` as a level 4 table.
        PIN_L4_TABLE = 3,
        /// Unpins frame `arg1`.
        UNPIN_TABLE = 4,
        /// Loads frame `arg1` as the kernel's page tables.
        NEW_BASEPTR = 5,
        /// Flushes this VCPU's TLB.
        TLB_FLUSH_LOCAL = 6,
        /// Flushes address `arg1` from this VCPU's TLB.
        INVLPG_LOCAL = 7,
        /// Flushes the TLBs of the VCPUs in the bitmap at `arg2`.
        TLB_FLUSH_MULTI = 8,
        /// Flushes address `arg1` from the TLBs of the VCPUs in the bitmap at `arg2`.
        INVLPG_MULTI = 9,
        /// Flushes the TLBs of all VCPUs.
        TLB_FLUSH_ALL = 10,
        /// Flushes address `arg1` from the TLBs of all VCPUs.
        INVLPG_ALL = 11,
        /// Writes back the caches.
        FLUSH_CACHE = 12,
        /// Sets the LDT: address `arg1`, `arg2` entries.
        SET_LDT = 13,
        /// Loads frame `arg1` as the page tables of user mode.
        NEW_USER_BASEPTR = 15,
        /// Clears frame `arg1`.
        CLEAR_PAGE = 16,
        /// Copies frame `arg2` to frame `arg1`.
        COPY_PAGE = 17,
        /// Writes back the caches of all CPUs.
        FLUSH_CACHE_GLOBAL = 18,
        /// Marks frame `arg1` as the start of a superpage.
        MARK_SUPER = 19,
        /// Undoes the former.
        UNMARK_SUPER = 20,
    }
}

/// One operation of a batch for `mmuext_op`.
#[doc(alias = "mmuext_op")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MmuextOp {
    /// What to do.
    pub cmd: MmuextCmd,
    /// Zero.
    pub _pad: u32,
    /// A machine frame number or virtual address, depending on the command.
    pub arg1: u64,
    /// A number of entries (32 bits), an address, or a machine frame number, depending on the
    /// command.
    pub arg2: u64,
}
layout!(MmuextOp: 24 { cmd: 0, _pad: 4, arg1: 8, arg2: 16 });

bitflags! {
    /// `UVMF_*`: what `update_va_mapping` flushes afterwards.
    ///
    /// With a flush and without [`Uvmf::ALL`], the address of a VCPU bitmap may be or-ed in;
    /// without one, only this VCPU is flushed.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Uvmf: u64 {
        /// The whole TLB.
        const TLB_FLUSH = 1 << 0;
        /// The one address.
        const INVLPG = 1 << 1;
        /// On all VCPUs.
        const ALL = 1 << 2;
        const _ = !0;
    }
}

impl Uvmf {
    /// Nothing.
    pub const NONE: Self = Self::from_bits_retain(0);
    /// On this VCPU; together with one of the two flushes.
    pub const LOCAL: Self = Self::from_bits_retain(0);
    /// On the VCPUs of the bitmap whose address is or-ed in.
    pub const MULTI: Self = Self::from_bits_retain(0);
    /// The bits that say what to flush.
    pub const FLUSHTYPE_MASK: Self = Self::from_bits_retain(3);
}
