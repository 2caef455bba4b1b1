// SPDX-License-Identifier: MIT OR Apache-2.0
//! `memory.h`: a domain's memory.

c_enum! {
    /// `XENMEM_*`: first argument of `memory_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MemoryOp(u32) {
        /// Takes a [`XenMemoryReservation`]. Returns the number of extents given back.
        DECREASE_RESERVATION = 1,
        /// Takes a domid. Returns the domain's number of pages.
        CURRENT_RESERVATION = 3,
        /// Takes a [`XenMemoryReservation`]. Returns the number of extents received.
        POPULATE_PHYSMAP = 6,
        /// Takes a [`XenAddToPhysmap`].
        ADD_TO_PHYSMAP = 7,
    }
}

c_enum! {
    /// `XENMAPSPACE_*`: which set of Xen's pages a page is from.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Mapspace(u32) {
        /// The shared info page.
        SHARED_INFO = 0,
        /// A frame of the grant table, which grows if it's smaller.
        GRANT_TABLE = 1,
    }
}

/// Puts one of Xen's pages into a translated domain's memory.
#[doc(alias = "xen_add_to_physmap")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenAddToPhysmap {
    /// In: whose memory.
    pub domid: u16,
    /// Zero: the length of a range in pages, for a space that isn't listed here.
    pub size: u16,
    /// In: the set that the page is from.
    pub space: Mapspace,
    /// In: the page's number in it.
    pub idx: u64,
    /// In: the guest frame at which it is to appear, replacing what was there.
    pub gpfn: u64,
}
layout!(XenAddToPhysmap: 24 { domid: 0, size: 2, space: 4, idx: 8, gpfn: 16 });

/// Frames that a domain gives back or receives.
#[doc(alias = "xen_memory_reservation")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XenMemoryReservation {
    /// In: the address of an array with each extent's first frame. For a domain that is not
    /// translated, Xen writes the machine frames that it gave there.
    pub extent_start: u64,
    /// In: the number of extents.
    pub nr_extents: u64,
    /// In: each extent has 2^order frames.
    pub extent_order: u32,
    /// In: where the memory is to come from; zero for anywhere.
    pub mem_flags: u32,
    /// In: whose memory.
    pub domid: u16,
    /// Padding.
    pub _pad: [u16; 3],
}
layout!(XenMemoryReservation: 32 {
    extent_start: 0, nr_extents: 8, extent_order: 16, mem_flags: 20, domid: 24, _pad: 26,
});
