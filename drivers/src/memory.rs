// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to memory: pages of ours, and address space that holds none.
//!
//! Words used here and in the kernel:
//!
//! * **PFN**: a frame's number in this domain, 0 to `nr_pages` - 1.
//! * **MFN**: its number in the machine.
//! * **GFN**: the number by which Xen knows a frame of this domain, what a grant entry names: the
//!   MFN under PV, the PFN under PVH.
//! * **[`Page`]**: one page of this domain's memory and its GFN. It owns both.
//! * **[`PageSlot`]**: a range of addresses for mapping what *another* domain owns.
//!
//! A `Page` is never mapped over and a `PageSlot` is never backed by memory of ours, so "map over
//! something live" can't be written. Both are made and taken back by an implementor of [`Memory`]
//! alone. Memory that another domain can write is never a reference: it is read and written by
//! address through the methods of [`Memory`].
#![expect(unsafe_code, reason = "methods that take addresses have duties for the caller")]

use core::fmt;
use core::ops::Range;

use xen_sys::grant_table::{Gntmap, GrantEntryV1};

use crate::Errno;

/// Bytes in a page, and in a machine frame.
pub const PAGE_SIZE: usize = 4096;

/// A number of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pages(pub u32);

impl Pages {
    /// Their length in bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize * PAGE_SIZE
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the index space of a device, in bytes: 4096 to a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(pub u64);

impl Index {
    /// The index of a page's first byte; for a page that no index reaches, one that is no page's.
    pub const fn of_page(page: u64) -> Self {
        Self(page.saturating_mul(PAGE_SIZE as u64))
    }

    /// The page that it lies in.
    pub const fn page(self) -> u64 {
        self.0 / PAGE_SIZE as u64
    }

    /// Where it lies in its page.
    pub const fn in_page(self) -> usize {
        (self.0 % PAGE_SIZE as u64) as usize
    }

    /// Whether it is that of a page's first byte.
    pub const fn is_of_page(self) -> bool {
        self.in_page() == 0
    }
}

/// One page of this domain's own memory.
///
/// Dropping one without [`Memory::free_page`] leaks it, which the crate `fake-xen` reports.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a page that is dropped is lost; give it back with `free_page`"]
pub struct Page {
    addr: usize,
    gfn: u64,
    clean: bool,
}

impl Page {
    /// A page at `addr`, a multiple of 4096, in frame `gfn`. `clean`: every byte is known to be
    /// zero.
    ///
    /// # Safety
    /// For an implementor of [`Memory`]: the page is mapped read-write at `addr`, it is the
    /// caller's alone, and no other `Page` has it.
    pub unsafe fn new(addr: usize, gfn: u64, clean: bool) -> Self {
        Self { addr, gfn, clean }
    }

    /// The address of its first byte.
    pub fn addr(&self) -> usize {
        self.addr
    }

    /// The frame that holds it, as Xen numbers it.
    pub fn gfn(&self) -> u64 {
        self.gfn
    }

    /// Whether every byte is known to be zero.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Records whether every byte is known to be zero. A wrong word shows another user's data.
    pub(crate) fn set_clean(&mut self, clean: bool) {
        self.clean = clean;
    }
}

/// A place for a page of this domain's own that holds none: the page was given back to Xen, or is
/// still to come.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is dropped never holds a page again"]
pub struct Vacancy {
    pfn: u64,
}

impl Vacancy {
    /// The place of frame `pfn`.
    ///
    /// # Safety
    /// For an implementor of [`Memory`]: no page is there, and no other `Vacancy` has it.
    pub unsafe fn new(pfn: u64) -> Self {
        Self { pfn }
    }

    /// The frame's number in this domain.
    pub fn pfn(&self) -> u64 {
        self.pfn
    }
}

/// A range of addresses reserved for mappings, with no memory of its own.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "address space that is dropped is lost; give it back with `release_slot`"]
pub struct PageSlot {
    addr: usize,
    pages: u32,
}

impl PageSlot {
    /// `pages` pages from `addr`, a multiple of 4096.
    ///
    /// # Safety
    /// For an implementor of [`Memory`]: the addresses are nobody's, nothing is mapped there, and
    /// no other `PageSlot` has any of them.
    pub unsafe fn new(addr: usize, pages: u32) -> Self {
        Self { addr, pages }
    }

    /// The address of its first byte.
    pub fn addr(&self) -> usize {
        self.addr
    }

    /// Its length in pages.
    pub fn pages(&self) -> u32 {
        self.pages
    }
}

/// How many frames the domain has for its own use, and how many of them are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCount {
    /// Frames that the allocator manages, in use or free.
    pub total: u32,
    /// Frames that the next allocations can have, whether they have an address yet or not.
    pub free: u32,
    /// All that the domain has: what the image and the toolstack took of its memory, too.
    pub domain: u32,
}

/// Where a mapping goes, in the words of a map operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddr {
    /// The operation's `host_addr`, for map and unmap alike.
    pub addr: u64,
    /// Flags that say what kind of address it is, besides `GNTMAP_host_map`.
    pub flags: Gntmap,
    /// How many pages from this one on have addresses that follow each other, itself included.
    pub pages: u32,
    /// The distance from one to the next.
    pub stride: u64,
}

/// When an access to memory that others write is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It comes next.
    Before,
    /// It has just been.
    After,
}

/// Pages, address space, and access to memory that others write.
///
/// # Safety
/// An implementor keeps the duties under "Implementation safety": the module `raw` reads and
/// writes by the addresses that it is given here.
pub unsafe trait Memory {
    /// A page for the caller alone. Its content is unspecified unless it [`Page::is_clean`].
    ///
    /// # Implementation safety
    /// The page is mapped read-write and no-execute, nothing else uses it until it is freed, and
    /// its frame is not a page table, so that granting it can be refused by nothing.
    fn alloc_page(&self) -> Option<Page>;

    /// So many pages, each given to `take` as [`Memory::alloc_page`] would give it. How many there
    /// were: fewer without memory for more.
    ///
    /// `take` may run under the allocator's lock: it asks for no memory and gives none back.
    fn alloc_pages(&self, count: u32, take: impl FnMut(Page)) -> u32 {
        (0..count).map_while(|_| self.alloc_page()).map(take).count() as u32
    }

    /// Takes pages back. `pages` may run under the allocator's lock, as `take` above.
    ///
    /// # Safety
    /// For each of them, as for [`Memory::free_page`].
    unsafe fn free_pages(&self, pages: impl Iterator<Item = Page>) {
        for page in pages {
            // SAFETY: the caller's promise.
            unsafe { self.free_page(page) };
        }
    }

    /// Takes a page back.
    ///
    /// # Safety
    /// No grant entry names it, and nobody reads or writes it by its address any more.
    unsafe fn free_page(&self, page: Page);

    /// Leaves nothing where a page was: its frame can be given back to Xen.
    ///
    /// # Errors
    /// The hypercall's own, and the page as it was.
    ///
    /// # Safety
    /// No grant entry names it, and nobody reads or writes it by its address any more.
    unsafe fn detach_page(&self, page: Page) -> Result<Vacancy, (Page, Errno)>;

    /// Makes frame `gfn` the page of a place that has none. Its content is unspecified.
    ///
    /// # Errors
    /// The hypercall's own, and the place as it was.
    ///
    /// # Implementation safety
    /// As for [`Memory::alloc_page`].
    ///
    /// # Safety
    /// Xen gave the frame to this domain for this place
    /// ([`crate::Hypervisor::populate_physmap`]), or it is the one that was detached from there
    /// and never given back.
    unsafe fn attach_page(&self, vacancy: Vacancy, gfn: u64) -> Result<Page, (Vacancy, Errno)>;

    /// A place for a page beyond those that the domain ever had. `None` if there is no room for
    /// one, or no frame for the tables that it takes.
    fn extend(&self) -> Option<Vacancy>;

    /// Reserves `pages` pages of address space, at least 1. It can't be mapped into before
    /// [`Memory::prepare_slot`].
    ///
    /// # Implementation safety
    /// The addresses are in no other slot and in no page until the slot is released.
    fn reserve_slot(&self, pages: u32) -> Option<PageSlot>;

    /// Whether Xen translates this domain's frame numbers (PVH): a map operation then names a
    /// guest-physical address, and a frame of ours that is mapped at a second one is taken away
    /// from its first.
    ///
    /// # Implementation safety
    /// Where it says no, a mapped frame of ours stays where it is.
    fn is_translated(&self) -> bool;

    /// Makes sure that the L1 tables of these pages of the slot exist; those of the pages before
    /// them do. May use frames and hypercalls; repeated for the same range it does nothing.
    ///
    /// # Errors
    /// ENOMEM if there is no frame left for a table; what was prepared before stays so.
    fn prepare_slot(&self, slot: &PageSlot, pages: Range<u32>) -> Result<(), Errno>;

    /// What a map operation says to have page `page` of a slot mapped: under PV an address or that
    /// of a page-table entry, under PVH a guest-physical address. It changes when the domain is
    /// restored ([`Memory::restores`]), and not otherwise.
    ///
    /// # Implementation safety
    /// A map that names it makes the foreign page appear at the slot's address + `page` * 4096, and
    /// changes nothing else. A page beyond what was prepared gives an address that Xen refuses.
    fn host_addr(&self, slot: &PageSlot, page: u32) -> HostAddr;

    /// How often the domain was restored: each time, what [`Memory::host_addr`] said before is of
    /// no use.
    fn restores(&self) -> u32 {
        0
    }

    /// Takes address space back.
    ///
    /// # Safety
    /// Nothing is mapped in it, and nobody reads or writes there any more.
    unsafe fn release_slot(&self, slot: PageSlot);

    /// Makes the grant table's frames `first ..` readable and writable for us, behind the ones
    /// that are mapped already.
    ///
    /// # Errors
    /// ENOMEM without frames for the tables, else the hypercall's own.
    ///
    /// # Safety
    /// `frames` are what `GNTTABOP_setup_table` answered for these, and `first` is the number of
    /// those that are mapped.
    unsafe fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno>;

    /// The entries of all grant-table frames that were mapped.
    ///
    /// # Safety
    /// An entry is an order to Xen: a frame that it names is another domain's to read or write. The
    /// caller writes only entries of its own, and only frames of pages that it holds.
    unsafe fn grant_entries(&self) -> &[GrantEntryV1];

    /// Told of every access to a word in a page that Xen, a daemon or a peer writes, too: there
    /// is where they may step in. On metal they do so without being asked.
    fn observe(&self, _moment: Moment) {}

    /// The state of the frame allocator.
    fn frames(&self) -> FrameCount;

    /// Copies from memory that others may be writing, each byte read once.
    ///
    /// # Safety
    /// `src ..` + `dst.len()` lies in one [`Page`] of the caller's or in live mappings of its own.
    unsafe fn read(&self, src: usize, dst: &mut [u8]);

    /// Copies to memory that others may be reading or writing.
    ///
    /// # Safety
    /// `dst ..` + `src.len()` lies in one [`Page`] of the caller's or in live writable mappings of
    /// its own.
    unsafe fn write(&self, dst: usize, src: &[u8]);

    /// Reads 32 bits that others may be writing, as a whole; what the writer wrote before it
    /// stored them is seen by later reads.
    ///
    /// # Safety
    /// `addr` is a multiple of 4 in a [`Page`] of the caller's or in a live mapping of its own.
    unsafe fn load_u32(&self, addr: usize) -> u32;

    /// Writes 32 bits that others may be reading, as a whole, after everything written before.
    ///
    /// # Safety
    /// `addr` is a multiple of 4 in a [`Page`] of the caller's or in a live writable mapping of its
    /// own.
    unsafe fn store_u32(&self, addr: usize, value: u32);

    /// Sets bits of a byte that others may be changing, in one step; what it was. What either side
    /// wrote before its step is seen by the side whose step comes later.
    ///
    /// # Safety
    /// `addr` lies in a [`Page`] of the caller's or in a live writable mapping of its own.
    unsafe fn fetch_or_u8(&self, addr: usize, bits: u8) -> u8;

    /// Keeps these bits of such a byte and clears the others, in one step; what it was.
    ///
    /// # Safety
    /// As [`Memory::fetch_or_u8`].
    unsafe fn fetch_and_u8(&self, addr: usize, bits: u8) -> u8;

    /// Writes zeroes over one page.
    ///
    /// # Safety
    /// `addr` is that of a [`Page`] of the caller's.
    unsafe fn zero_page(&self, addr: usize);

    /// Tries one store of a byte to memory that may be mapped read-only; whether it was done.
    /// A fault is caught.
    ///
    /// # Safety
    /// `addr` lies in a live mapping of the caller's, of either kind.
    unsafe fn probe_write(&self, addr: usize, value: u8) -> bool;
}

/// All that a guest stands on. Every type that is both has it.
pub trait Platform: crate::Hypervisor + Memory + Clone + core::fmt::Debug + 'static {}

impl<X: crate::Hypervisor + Memory + Clone + core::fmt::Debug + 'static> Platform for X {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_indices_are_counted_in_4096_bytes() {
        assert_eq!([Pages(0), Pages(1), Pages(3)].map(Pages::bytes), [0, 4096, 12_288]);
        assert_eq!(alloc::format!("{:>3}", Pages(7)), "  7");
        let of = |index: Index| (index.page(), index.in_page(), index.is_of_page());
        assert_eq!(of(Index(0)), (0, 0, true));
        assert_eq!(of(Index(4095)), (0, 4095, false));
        assert_eq!(of(Index(4096)), (1, 0, true));
        assert_eq!(of(Index(8193)), (2, 1, false));
        assert_eq!(Index::of_page(3), Index(12_288));
        assert!(!Index::of_page(u64::MAX).is_of_page());
    }
}
