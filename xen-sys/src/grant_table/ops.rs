// SPDX-License-Identifier: MIT OR Apache-2.0
//! `grant_table.h`: the arguments of the operations.

use super::GrantStatus;
use bitflags::bitflags;

bitflags! {
    /// `GNTMAP_*`: how to map a grant.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Gntmap: u32 {
        /// Map for access by devices.
        const DEVICE_MAP = 1 << 0;
        /// Map for access by the CPU. At least one of these two must be set.
        const HOST_MAP = 1 << 1;
        /// Map read-only. Needed where the entry has [`Gtf::READONLY`].
        const READONLY = 1 << 2;
        /// The mapping is usable in user mode, too. For 64-bit guests Xen always sets the user bit.
        const APPLICATION_MAP = 1 << 3;
        /// `host_addr` is the machine address of a page-table entry, not a virtual address.
        const CONTAINS_PTE = 1 << 4;
        const _ = !0;
    }
}

impl Gntmap {
    /// Bits that Xen copies into the available bits of the page-table entry it writes.
    pub const GUEST_AVAIL_MASK: Self = Self::from_bits_retain(0xffff_0000);
}

bitflags! {
    /// `GNTCOPY_*`: which sides of a [`GnttabCopy`] are grefs instead of frame numbers.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Gntcopy: u16 {
        /// `source.u` is a grant reference.
        const SOURCE_GREF = 1 << 0;
        /// `dest.u` is a grant reference.
        const DEST_GREF = 1 << 1;
        const _ = !0;
    }
}

/// Maps one grant of another domain.
///
/// Xen overwrites the page-table entry at `host_addr` and drops whatever page was mapped there.
#[doc(alias = "gnttab_map_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabMapGrantRef {
    /// In: virtual address, or a page-table entry's machine address with [`Gntmap::CONTAINS_PTE`].
    pub host_addr: u64,
    /// In: how to map.
    pub flags: Gntmap,
    /// In: the gref in the granter's table. The C header's `ref`.
    #[doc(alias = "ref")]
    pub ref_: u32,
    /// In: the granter's domid; `DOMID_SELF` doesn't work here.
    pub dom: u16,
    /// Out: the outcome.
    pub status: GrantStatus,
    /// Out, only if okay: the handle of this mapping, for the unmap. 0 is a valid handle.
    pub handle: u32,
    /// Out, only if okay: the machine address of the frame.
    pub dev_bus_addr: u64,
}
layout!(GnttabMapGrantRef: 32 {
    host_addr: 0, flags: 8, ref_: 12, dom: 16, status: 18, handle: 20, dev_bus_addr: 24,
});

/// Ends one mapping.
///
/// Xen doesn't check that `host_addr` is the address of *this* mapping: if one frame is mapped
/// twice and the handles get mixed up, the wrong mapping goes. `host_addr` 0 is okay and leaves the
/// mapping alone.
#[doc(alias = "gnttab_unmap_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabUnmapGrantRef {
    /// In: as given to the map. 0 leaves the mapping for the CPU alone.
    pub host_addr: u64,
    /// In: machine address of a device mapping. 0 leaves the mapping for devices alone.
    pub dev_bus_addr: u64,
    /// In: as returned by the map.
    pub handle: u32,
    /// Out: the status. After a failure the address may still be mapped: don't reuse it.
    pub status: GrantStatus,
    /// Zero.
    pub _pad: u16,
}
layout!(GnttabUnmapGrantRef: 24 {
    host_addr: 0, dev_bus_addr: 8, handle: 16, status: 20, _pad: 22,
});

/// Grows the table to `nr_frames` frames, and returns where they are.
#[doc(alias = "gnttab_setup_table")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabSetupTable {
    /// In: whose table; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad0: u16,
    /// In: the number of frames wanted, each with
    /// [`GrantEntryV1::PER_FRAME`](super::GrantEntryV1::PER_FRAME) entries.
    pub nr_frames: u32,
    /// Out: the status. [`GrantStatus::GENERAL_ERROR`] beyond the maximum.
    pub status: GrantStatus,
    /// Zero.
    pub _pad1: [u16; 3],
    /// In: address of a `u64` array of `nr_frames`; Xen writes machine frame numbers (PV).
    pub frame_list: u64,
}
layout!(GnttabSetupTable: 24 {
    dom: 0, _pad0: 2, nr_frames: 4, status: 8, _pad1: 10, frame_list: 16,
});

/// Queries the size of a table.
#[doc(alias = "gnttab_query_size")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabQuerySize {
    /// In: whose table; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad0: u16,
    /// Out: the current number of frames.
    pub nr_frames: u32,
    /// Out: the maximum number of frames.
    pub max_nr_frames: u32,
    /// Out: the outcome.
    pub status: GrantStatus,
    /// Zero.
    pub _pad1: u16,
}
layout!(GnttabQuerySize: 16 {
    dom: 0, _pad0: 2, nr_frames: 4, max_nr_frames: 8, status: 12, _pad1: 14,
});

/// One side of a [`GnttabCopy`].
#[doc(alias = "gnttab_copy_ptr")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabCopyPtr {
    /// In: a frame number, or a gref in the low 32 bits, according to [`Gntcopy`].
    pub u: u64,
    /// In: the granter's domid; for a frame number, only `DOMID_SELF`.
    pub domid: u16,
    /// In: bytes from the start of the page.
    pub offset: u16,
    /// Zero.
    pub _pad: u32,
}
layout!(GnttabCopyPtr: 16 { u: 0, domid: 8, offset: 10, _pad: 12 });

/// Lets Xen copy between two pages, without mapping either.
#[doc(alias = "gnttab_copy")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabCopy {
    /// In: the source.
    pub source: GnttabCopyPtr,
    /// In: the destination.
    pub dest: GnttabCopyPtr,
    /// In: length in bytes. Neither side may cross the end of its page. 0 is okay.
    pub len: u16,
    /// In: which sides are grants.
    pub flags: Gntcopy,
    /// Out: the outcome.
    pub status: GrantStatus,
    /// Zero.
    pub _pad: u16,
}
layout!(GnttabCopy: 40 { source: 0, dest: 16, len: 32, flags: 34, status: 36, _pad: 38 });

/// Selects the version of the domain's own table, and wipes all but the reserved entries.
#[doc(alias = "gnttab_set_version")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabSetVersion {
    /// In: 1 or 2. Out: the version in force. There is no status, only the hypercall's result.
    pub version: u32,
}
layout!(GnttabSetVersion: 4 { version: 0 });

/// Queries the version of a table. There is no status, only the hypercall's result.
#[doc(alias = "gnttab_get_version")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabGetVersion {
    /// In: whose table; an ordinary guest passes `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad: u16,
    /// Out: 1 or 2.
    pub version: u32,
}
layout!(GnttabGetVersion: 8 { dom: 0, _pad: 2, version: 4 });
