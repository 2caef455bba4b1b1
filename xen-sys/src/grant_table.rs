//! `grant_table.h`: the grant table (version 1) and the operations on it.
//!
//! The words of this file: the *granter* lets another domain use a frame and writes a grant entry;
//! the *mapper* names that entry by its reference and gets a handle for each mapping.

use bitflags::bitflags;
use core::sync::atomic::{AtomicU16, AtomicU32};

/// Entries at the start of the table that survive a change of version; ours start here.
pub const GNTTAB_NR_RESERVED_ENTRIES: u32 = 8;
/// Reference that the toolstack fills for the console ring. Never reuse it.
pub const GNTTAB_RESERVED_CONSOLE: u32 = 0;
/// Reference that the toolstack fills for the xenstore ring. Never reuse it.
pub const GNTTAB_RESERVED_XENSTORE: u32 = 1;

/// One entry of a version 1 table, in memory that Xen reads and writes at any time.
///
/// To grant: write `frame`, then `domid`, then `flags` with a store of release order, because Xen
/// may use the entry as soon as its type is set. To end a grant: a 16-bit compare-exchange on
/// `flags` from a value without [`Gtf::READING`] and [`Gtf::WRITING`] to 0. A plain store of 0 into
/// an entry in use revokes nothing and destroys the bits that would tell.
#[doc(alias = "grant_entry_v1")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct GrantEntryV1 {
    /// Bits of [`Gtf`]. Xen sets and clears the reading and writing bits.
    pub flags: AtomicU16,
    /// The domain that may use the frame.
    pub domid: AtomicU16,
    /// The granted frame: for a PV guest a machine frame number.
    pub frame: AtomicU32,
}
layout!(GrantEntryV1: 8 { flags: 0, domid: 2, frame: 4 });

impl GrantEntryV1 {
    /// An invalid entry: all zero.
    pub const fn new() -> Self {
        Self {
            flags: AtomicU16::new(0),
            domid: AtomicU16::new(0),
            frame: AtomicU32::new(0),
        }
    }
}

bitflags! {
    /// `GTF_*`: the flags of a grant entry.
    ///
    /// Bits 0 and 1 are the entry's type, a number and not flags: compare
    /// `flags & Gtf::TYPE_MASK` with one of the constants, never use `contains`.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Gtf: u16 {
        /// The frame may only be mapped read-only or copied from.
        const READONLY = 1 << 2;
        /// Set by Xen: the frame is mapped or pinned for reading.
        const READING = 1 << 3;
        /// Set by Xen: the frame is mapped or pinned for writing.
        const WRITING = 1 << 4;
        /// The PWT cache attribute for mappings of this grant.
        const PWT = 1 << 5;
        /// The PCD cache attribute for mappings of this grant.
        const PCD = 1 << 6;
        /// The PAT cache attribute for mappings of this grant.
        const PAT = 1 << 7;
        /// Only a part of the page is granted (version 2 only).
        const SUB_PAGE = 1 << 8;
        const _ = !0;
    }
}

impl Gtf {
    /// The bits that hold the type.
    pub const TYPE_MASK: Self = Self::from_bits_retain(3);
    /// Type: the entry grants nothing.
    pub const INVALID: Self = Self::from_bits_retain(0);
    /// Type: the domain may map the frame, and copy from and to it.
    pub const PERMIT_ACCESS: Self = Self::from_bits_retain(1);
    /// Type: the domain may transfer a frame to us.
    pub const ACCEPT_TRANSFER: Self = Self::from_bits_retain(2);
    /// Type: the domain may use another domain's grant through us (version 2 only).
    pub const TRANSITIVE: Self = Self::from_bits_retain(3);
}

c_enum! {
    /// `GNTTABOP_*`: first argument of `grant_table_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct GnttabOp(u32) {
        /// Takes a batch of [`GnttabMapGrantRef`].
        MAP_GRANT_REF = 0,
        /// Takes a batch of [`GnttabUnmapGrantRef`].
        UNMAP_GRANT_REF = 1,
        /// Takes one [`GnttabSetupTable`].
        SETUP_TABLE = 2,
        /// Prints a domain's table on Xen's console; privileged.
        DUMP_TABLE = 3,
        /// Gives a frame to a domain that accepts it. Not used.
        TRANSFER = 4,
        /// Takes a batch of [`GnttabCopy`].
        COPY = 5,
        /// Takes one [`GnttabQuerySize`].
        QUERY_SIZE = 6,
        /// Unmaps and puts another page's mapping there. Not used.
        UNMAP_AND_REPLACE = 7,
        /// Takes one [`GnttabSetVersion`].
        SET_VERSION = 8,
        /// The frames of the status array (version 2 only). Not used.
        GET_STATUS_FRAMES = 9,
        /// Takes one [`GnttabGetVersion`].
        GET_VERSION = 10,
        /// Exchanges the contents of two entries. Not used.
        SWAP_GRANT_REF = 11,
        /// Cleans or invalidates caches (ARM). Not used.
        CACHE_FLUSH = 12,
    }
}

c_enum! {
    /// `GNTST_*`: the outcome of one operation of a batch; the hypercall's own result is separate.
    ///
    /// Compare with [`GrantStatus::OKAY`] and nothing else, never by `< 0`: Xen has returned
    /// positive values for failures (XSA-316), and a new version may return what isn't listed here.
    /// So this type has no order, and its default is [`GrantStatus::GENERAL_ERROR`], not `OKAY`: an
    /// operation that Xen never reached must not look like a success.
    pub struct GrantStatus(i16) {
        /// Done.
        OKAY = 0,
        /// Any failure without its own number; also what a refused access gives.
        GENERAL_ERROR = -1,
        /// No such domain. `DOMID_SELF` is not translated when mapping and ends here.
        BAD_DOMAIN = -2,
        /// The reference lies outside of the granter's table, or can't be used so.
        BAD_GNTREF = -3,
        /// Unknown mapping handle, or another domain's.
        BAD_HANDLE = -4,
        /// The address to map at can't be used.
        BAD_VIRT_ADDR = -5,
        /// The device address to unmap is wrong.
        BAD_DEV_ADDR = -6,
        /// The IOMMU has no space.
        NO_DEVICE_SPACE = -7,
        /// Refused by a security policy, or not ours.
        PERMISSION_DENIED = -8,
        /// The frame can't be used for this.
        BAD_PAGE = -9,
        /// A copy would cross the end of a page.
        BAD_COPY_ARG = -10,
        /// The frame number is too large for the receiving domain.
        ADDRESS_TOO_BIG = -11,
        /// The frame is paged out or shared: try again later.
        EAGAIN = -12,
        /// The mapper's table of mappings is full.
        NO_SPACE = -13,
    }
}

impl Default for GrantStatus {
    fn default() -> Self {
        Self::GENERAL_ERROR
    }
}

bitflags! {
    /// `GNTMAP_*`: how to map a grant.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Gntmap: u32 {
        /// Map for access by devices.
        const DEVICE_MAP = 1 << 0;
        /// Map for access by the CPU. Neither of the two is an error.
        const HOST_MAP = 1 << 1;
        /// Map read-only. Needed where the entry has [`Gtf::READONLY`].
        const READONLY = 1 << 2;
        /// The mapping is usable in user mode, too. On 64 bits Xen sets the user bit anyway.
        const APPLICATION_MAP = 1 << 3;
        /// `host_addr` is the machine address of a page table entry, not a virtual address.
        const CONTAINS_PTE = 1 << 4;
        const _ = !0;
    }
}

impl Gntmap {
    /// Bits that Xen copies into the available bits of the page table entry it writes.
    pub const GUEST_AVAIL_MASK: Self = Self::from_bits_retain(0xffff_0000);
}

bitflags! {
    /// `GNTCOPY_*`: which side of a [`GnttabCopy`] is a grant reference; the other is a frame.
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
/// Xen overwrites the page table entry at `host_addr` and drops whatever page was mapped there.
#[doc(alias = "gnttab_map_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabMapGrantRef {
    /// In: virtual address, or a page table entry's machine address with [`Gntmap::CONTAINS_PTE`].
    pub host_addr: u64,
    /// In: how to map.
    pub flags: Gntmap,
    /// In: reference in the granter's table. The C header's `ref`.
    #[doc(alias = "ref")]
    pub ref_: u32,
    /// In: the granter's number; `DOMID_SELF` doesn't work here.
    pub dom: u16,
    /// Out: the outcome.
    pub status: GrantStatus,
    /// Out, only if okay: names this mapping when unmapping. 0 is a valid handle.
    pub handle: u32,
    /// Out, only if okay: the machine address of the frame.
    pub dev_bus_addr: u64,
}
layout!(GnttabMapGrantRef: 32 {
    host_addr: 0, flags: 8, ref_: 12, dom: 16, status: 18, handle: 20, dev_bus_addr: 24,
});

/// Ends one mapping.
///
/// Xen doesn't check that `host_addr` is the address of *this* mapping: whoever maps one frame twice
/// and mixes up the handles loses the wrong one. `host_addr` 0 is okay and leaves the mapping alone.
#[doc(alias = "gnttab_unmap_grant_ref")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabUnmapGrantRef {
    /// In: as given when mapping. 0: leave the mapping for the CPU alone.
    pub host_addr: u64,
    /// In: machine address of a device mapping. 0: leave the mapping for devices alone.
    pub dev_bus_addr: u64,
    /// In: as returned when mapping.
    pub handle: u32,
    /// Out: the outcome. After a failure the address may still be mapped: don't reuse it.
    pub status: GrantStatus,
    /// Zero.
    pub _pad: u16,
}
layout!(GnttabUnmapGrantRef: 24 { host_addr: 0, dev_bus_addr: 8, handle: 16, status: 20, _pad: 22 });

/// Grows the table to `nr_frames` frames and tells where they are.
#[doc(alias = "gnttab_setup_table")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabSetupTable {
    /// In: whose table; an ordinary guest says `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad0: u16,
    /// In: frames wanted; 512 entries each in version 1.
    pub nr_frames: u32,
    /// Out: the outcome. [`GrantStatus::GENERAL_ERROR`] beyond the maximum.
    pub status: GrantStatus,
    /// Zero.
    pub _pad1: [u16; 3],
    /// In: address of a `u64` array of `nr_frames`; Xen writes machine frame numbers (PV).
    pub frame_list: u64,
}
layout!(GnttabSetupTable: 24 {
    dom: 0, _pad0: 2, nr_frames: 4, status: 8, _pad1: 10, frame_list: 16,
});

/// Asks for the size of a table.
#[doc(alias = "gnttab_query_size")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabQuerySize {
    /// In: whose table; an ordinary guest says `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad0: u16,
    /// Out: frames now.
    pub nr_frames: u32,
    /// Out: frames at most.
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
    /// In: a frame number, or a grant reference in the low 32 bits, as [`Gntcopy`] says.
    pub u: u64,
    /// In: the granter; for a frame number only `DOMID_SELF`.
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
    /// In: from where.
    pub source: GnttabCopyPtr,
    /// In: to where.
    pub dest: GnttabCopyPtr,
    /// In: bytes; neither side may cross the end of its page. 0 is okay.
    pub len: u16,
    /// In: which sides are grants.
    pub flags: Gntcopy,
    /// Out: the outcome.
    pub status: GrantStatus,
    /// Zero.
    pub _pad: u16,
}
layout!(GnttabCopy: 40 { source: 0, dest: 16, len: 32, flags: 34, status: 36, _pad: 38 });

/// Selects the version of our own table; wipes all but the reserved entries.
#[doc(alias = "gnttab_set_version")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabSetVersion {
    /// In: 1 or 2. Out: the version in force. There is no status: the hypercall's result tells.
    pub version: u32,
}
layout!(GnttabSetVersion: 4 { version: 0 });

/// Asks for the version of a table. There is no status: the hypercall's result tells.
#[doc(alias = "gnttab_get_version")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnttabGetVersion {
    /// In: whose table; an ordinary guest says `DOMID_SELF`.
    pub dom: u16,
    /// Zero.
    pub _pad: u16,
    /// Out: 1 or 2.
    pub version: u32,
}
layout!(GnttabGetVersion: 8 { dom: 0, _pad: 2, version: 4 });
