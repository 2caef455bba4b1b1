//! Memory of a 64-bit PV guest: frames, page tables, address space.
//!
//! Words, after xen/include/public/xen.h and xen/include/xen/mm.h:
//!
//! * **PFN**: the number of a frame as this domain counts its memory, 0 to `nr_pages` - 1.
//!   "Physical" addresses in the ELF image are PFNs times 4096.
//! * **MFN**: the number of a frame of the machine, which page-table entries name. Consecutive PFNs
//!   are scattered over the machine.
//! * **GFN**: the number by which grants and `GNTTABOP_setup_table` name a frame. For a PV guest
//!   that is the MFN, so this kernel has no type for it.
//! * **P2M**: the list from PFN to MFN that the builder made (`start_info.mfn_list`).
//! * **M2P**: Xen's table from MFN to PFN, readable by every PV guest.
//! * **initial mapping**: what the builder mapped: PFN n at `VIRT_BASE` + n * 4096, to a multiple
//!   of 4 MiB.
//! * **direct map**: where this kernel maps the PFNs beyond it, once they are needed.
//! * **window**: addresses without memory of their own, for the pages of others.
//!
//! A frame has one address for life: in the initial mapping or in the direct map. Page tables are
//! mapped read-only and change by hypercall only, Xen accepts nothing else.

mod access;
pub mod frames;
mod free_list;
pub mod layout;
pub mod protect;
mod seam;
pub mod stack;
mod tables;
pub mod translate;
pub mod window;

pub use drivers::memory::PAGE_SIZE;

/// The number of a frame in this domain's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pfn(pub u64);

/// The number of a frame of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mfn(pub u64);

/// Entries in a page table; pages that one L1 table maps.
pub const TABLE_ENTRIES: usize = 512;

/// Bytes that one L1 table maps: 2 MiB.
pub const REGION_SIZE: usize = TABLE_ENTRIES * PAGE_SIZE;
