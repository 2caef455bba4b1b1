//! `memory.h`: a domain's memory.

c_enum! {
    /// `XENMEM_*`: first argument of `memory_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct MemoryOp(u32) {
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
