// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of a 64-bit guest: frames, page tables, address space.
//!
//! Terms, from xen/include/public/xen.h and xen/include/xen/mm.h:
//!
//! * **PFN**: the number of a frame as this domain counts its memory, 0 to `nr_pages` - 1.
//!   "Physical" addresses in the ELF image are PFNs times 4096.
//! * **GFN**: the number by which Xen, page-table entries and grants name a frame. Under PV it's the
//!   **MFN**, the frame's number in the machine, over which consecutive PFNs are scattered; under
//!   PVH it's the PFN.
//! * **initial mapping**: PFN n at `VIRT_BASE` + n * 4096, as far as the builder or the boot
//!   mapped.
//! * **direct map**: where this kernel maps the PFNs beyond that, once they are needed.
//! * **window**: addresses without memory of their own, for foreign pages.
//!
//! A frame keeps one address for life, in the initial mapping or the direct map. How page tables
//! change depends on the mode ([`Interface`](super::interface::Interface)).

pub mod access;
pub mod frames;
mod free_list;
pub mod layout;
mod seam;
pub mod stack;
pub mod tables;
pub mod translate;
pub mod window;

pub use drivers::memory::PAGE_SIZE;

/// A frame's number in this domain's own count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pfn(pub u64);

/// A frame's number as Xen knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gfn(pub u64);

/// Entries in a page table, hence pages that one L1 table maps.
pub const TABLE_ENTRIES: usize = 512;

/// Bytes that one L1 table maps: 2 MiB.
pub const REGION_SIZE: usize = TABLE_ENTRIES * PAGE_SIZE;

/// The address of each frame of this domain, by its number, where it has one.
pub fn frames() -> impl Iterator<Item = Option<usize>> {
    translate::frames(frames::POOL.lock().end())
}
