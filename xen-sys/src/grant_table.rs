// SPDX-License-Identifier: MIT OR Apache-2.0
//! `grant_table.h`: the grant table (version 1) and the operations on it.
//!
//! In this file, the *granter* writes a grant entry, which lets another domain use a frame. The
//! *mapper* names that entry by its grant reference (gref) and gets a handle for each mapping.

mod ops;

pub use ops::{
    Gntcopy, Gntmap, GnttabCopy, GnttabCopyPtr, GnttabGetVersion, GnttabMapGrantRef,
    GnttabQuerySize, GnttabSetVersion, GnttabSetupTable, GnttabUnmapGrantRef,
};

use bitflags::bitflags;
use core::sync::atomic::{AtomicU16, AtomicU32};

/// Reserved entries at the start of the table, which survive a change of version. A guest's own
/// entries start at this number.
pub const GNTTAB_NR_RESERVED_ENTRIES: u32 = 8;
/// The gref that the toolstack fills in for the console ring. Never reuse it.
pub const GNTTAB_RESERVED_CONSOLE: u32 = 0;
/// The gref that the toolstack fills in for the xenstore ring. Never reuse it.
pub const GNTTAB_RESERVED_XENSTORE: u32 = 1;

/// One entry of a version 1 table, in memory that Xen reads and writes at any time.
///
/// To grant, write `frame`, then `domid`, then `flags` with a release store: Xen may use the entry
/// as soon as its type is set. To end a grant, use a 16-bit compare-exchange on `flags`, from a
/// value without [`Gtf::READING`] and [`Gtf::WRITING`] to 0. A plain store of 0 into an entry in
/// use revokes nothing, and destroys the bits that show its use.
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
    /// Entries per frame of the table.
    pub const PER_FRAME: u32 = (4096 / size_of::<Self>()) as u32;

    /// An invalid entry: all zero.
    pub const fn new() -> Self {
        Self { flags: AtomicU16::new(0), domid: AtomicU16::new(0), frame: AtomicU32::new(0) }
    }
}

bitflags! {
    /// `GTF_*`: the flags of a grant entry.
    ///
    /// Bits 0 and 1 are not flags but a number, the entry's type: compare `flags & Gtf::TYPE_MASK`
    /// with one of the constants, and never use `contains`.
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
        /// Only part of the page is granted (version 2 only).
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
    /// Type: the other domain may transfer a frame to this one.
    pub const ACCEPT_TRANSFER: Self = Self::from_bits_retain(2);
    /// Type: the other domain may use a third domain's grant through this one (version 2 only).
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
        /// Unmaps, and replaces the mapping with that of another page. Not used.
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
    /// `GNTST_*`: the status of one operation of a batch. The hypercall's own result is separate.
    ///
    /// Only compare it with [`GrantStatus::OKAY`], never by `< 0`: Xen has returned positive values
    /// for failures (XSA-316), and a new version may return values that aren't listed here. So this
    /// type has no order. Its default is [`GrantStatus::GENERAL_ERROR`], not `OKAY`: an operation
    /// that Xen never reached must not look like a success.
    pub struct GrantStatus(i16) {
        /// Done.
        OKAY = 0,
        /// Any failure without a number of its own, and also a refused access.
        GENERAL_ERROR = -1,
        /// No such domain. Also the answer to a map of `DOMID_SELF`, which Xen doesn't resolve
        /// there.
        BAD_DOMAIN = -2,
        /// The gref lies outside the granter's table, or can't be used in this way.
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
        /// The mapper has no mapping left: its maptrack is full.
        NO_SPACE = -13,
    }
}

impl Default for GrantStatus {
    fn default() -> Self {
        Self::GENERAL_ERROR
    }
}
