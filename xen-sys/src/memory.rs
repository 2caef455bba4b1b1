// SPDX-License-Identifier: MIT OR Apache-2.0
//! `memory.h`: a domain's memory.

c_enum! {
    /// `XENMEM_*`: first argument of `memory_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MemoryOp(u32) {
        /// Takes a [`XenMemoryReservation`]; the number of extents that went.
        DECREASE_RESERVATION = 1,
        /// Takes a domain's number; its pages.
        CURRENT_RESERVATION = 3,
        /// Takes a [`XenMemoryReservation`]; the number of extents that came.
        POPULATE_PHYSMAP = 6,
        /// Takes a [`XenAddToPhysmap`].
        ADD_TO_PHYSMAP = 7,
    }
}

c_enum! {
    /// `XENMAPSPACE_*`: what a page of Xen's belongs to.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Mapspace(u32) {
        /// The shared page.
        SHARED_INFO = 0,
        /// A frame of the grant table; the table grows if it has fewer.
        GRANT_TABLE = 1,
    }
}

/// Puts a page of Xen's into a translated domain's memory.
#[doc(alias = "xen_add_to_physmap")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenAddToPhysmap {
    /// In: whose memory.
    pub domid: u16,
    /// Zero: pages of a range, for a space that has none here.
    pub size: u16,
    /// In: what the page belongs to.
    pub space: Mapspace,
    /// In: which page of it.
    pub idx: u64,
    /// In: the guest frame where it is to appear. What was there is gone.
    pub gpfn: u64,
}
layout!(XenAddToPhysmap: 24 { domid: 0, size: 2, space: 4, idx: 8, gpfn: 16 });

/// Frames that a domain gives back or takes.
#[doc(alias = "xen_memory_reservation")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenMemoryReservation {
    /// In: the address of the extents' first frames. A domain that is not translated finds the
    /// machine frames there that came.
    pub extent_start: u64,
    /// In: how many.
    pub nr_extents: u64,
    /// In: each of 2^order frames.
    pub extent_order: u32,
    /// Where the memory is to come from; zero for anywhere.
    pub mem_flags: u32,
    /// In: whose memory.
    pub domid: u16,
    /// Padding.
    pub _pad: [u16; 3],
}
layout!(XenMemoryReservation: 32 {
    extent_start: 0, nr_extents: 8, extent_order: 16, mem_flags: 20, domid: 24, _pad: 26,
});
