// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to memory: pages of our own, and address space without memory.
//!
//! Words used here and in the kernel:
//!
//! * **PFN**: the number of a page frame within this domain, 0 to `nr_pages` - 1.
//! * **MFN**: the frame's number in the machine.
//! * **GFN**: the number that a domain passes to Xen for one of its frames, for example in a grant
//!   entry: the MFN under PV, the PFN under PVH.
//! * **[`Page`]**: one page of this domain's memory and its frame; it owns both.
//! * **[`PageSlot`]**: a range of addresses for mapping pages that *another* domain owns.
//!
//! Nothing is ever mapped over a `Page`, and a `PageSlot` is never backed by our own memory, so
//! "map over something live" can't be expressed. Only an implementor of [`Memory`] creates them and
//! takes them back. There are no Rust references to memory that another domain can write: it is
//! read and written by address, through the methods of [`Memory`].
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
    /// Returns their length in bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize * PAGE_SIZE
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in a device's index space, in bytes: 4096 to a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(pub u64);

impl Index {
    /// Returns the index of a page's first byte; for a page number out of range, an index that is
    /// not the start of a page.
    pub const fn of_page(page: u64) -> Self {
        Self(page.saturating_mul(PAGE_SIZE as u64))
    }

    /// Returns the number of the page that contains it.
    pub const fn page(self) -> u64 {
        self.0 / PAGE_SIZE as u64
    }

    /// Returns its offset in its page.
    pub const fn in_page(self) -> usize {
        (self.0 % PAGE_SIZE as u64) as usize
    }

    /// Whether it is the start of a page.
    pub const fn is_of_page(self) -> bool {
        self.in_page() == 0
    }
}

/// One page of this domain's own memory.
///
/// Dropping one instead of calling [`Memory::free_page`] leaks it; the crate `fake-xen` reports
/// that.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a page that is dropped is lost; give it back with `free_page`"]
pub struct Page {
    addr: usize,
    gfn: u64,
    clean: bool,
}

impl Page {
    /// Describes the page at `addr`, a multiple of 4096, in frame `gfn`. `clean` means that every
    /// byte is known to be zero.
    ///
    /// # Safety
    /// Only for implementors of [`Memory`]: the page is mapped read-write at `addr`, belongs to the
    /// caller alone, and no other `Page` describes it.
    pub unsafe fn new(addr: usize, gfn: u64, clean: bool) -> Self {
        Self { addr, gfn, clean }
    }

    /// Returns the address of its first byte.
    pub fn addr(&self) -> usize {
        self.addr
    }

    /// Returns the GFN of its frame.
    pub fn gfn(&self) -> u64 {
        self.gfn
    }

    /// Whether every byte is known to be zero.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Records whether every byte is known to be zero. A false `true` would leak another user's
    /// data.
    pub(crate) fn set_clean(&mut self, clean: bool) {
        self.clean = clean;
    }
}

/// A PFN of this domain without a page: the page was given back to Xen, or was never there.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is dropped never holds a page again"]
pub struct Vacancy {
    pfn: u64,
}

impl Vacancy {
    /// Describes the vacancy at `pfn`.
    ///
    /// # Safety
    /// Only for implementors of [`Memory`]: no page is there, and no other `Vacancy` has this PFN.
    pub unsafe fn new(pfn: u64) -> Self {
        Self { pfn }
    }

    /// Returns its PFN.
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
    /// Describes `pages` pages from `addr`, a multiple of 4096.
    ///
    /// # Safety
    /// Only for implementors of [`Memory`]: nobody else uses the addresses, nothing is mapped
    /// there, and no other `PageSlot` contains any of them.
    pub unsafe fn new(addr: usize, pages: u32) -> Self {
        Self { addr, pages }
    }

    /// Returns the address of its first byte.
    pub fn addr(&self) -> usize {
        self.addr
    }

    /// Returns its length in pages.
    pub fn pages(&self) -> u32 {
        self.pages
    }
}

/// How many frames the domain has, and how many are free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCount {
    /// Frames that the allocator manages, in use or free.
    pub total: u32,
    /// Frames available to the next allocations, whether or not they have an address yet.
    pub free: u32,
    /// All frames of the domain, including those that the image, page tables for a larger domain
    /// and the toolstack use.
    pub domain: u32,
}

/// Where a mapping goes, as a map operation states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddr {
    /// The operation's `host_addr`, for both map and unmap.
    pub addr: u64,
    /// The flags for this kind of address, in addition to `GNTMAP_host_map`.
    pub flags: Gntmap,
    /// How many pages from this one on, itself included, have consecutive addresses.
    pub pages: u32,
    /// The distance from one address to the next.
    pub stride: u64,
}

/// The moment of an access to shared memory that [`Memory::observe`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Just before the access.
    Before,
    /// Just after the access.
    After,
}

/// Pages, address space, and access to memory that others can write.
///
/// # Safety
/// An implementor must keep the duties under "Implementation safety": the module `raw` reads and
/// writes at the addresses that it gets from these methods.
pub unsafe trait Memory {
    /// Allocates a page for the caller alone. Its content is unspecified unless [`Page::is_clean`].
    ///
    /// # Implementation safety
    /// The page is mapped read-write and no-execute, nothing else uses it until it is freed, and
    /// its frame is not a page table, so nothing can refuse granting it.
    fn alloc_page(&self) -> Option<Page>;

    /// Allocates `count` pages as [`Memory::alloc_page`] does, and passes each to `take`. Returns
    /// how many there were: fewer than `count` if memory ran out.
    ///
    /// `take` may run under the allocator's lock, so it must neither allocate nor free memory.
    fn alloc_pages(&self, count: u32, take: impl FnMut(Page)) -> u32 {
        (0..count).map_while(|_| self.alloc_page()).map(take).count() as u32
    }

    /// Takes pages back. `pages` may be iterated under the allocator's lock, so it must neither
    /// allocate nor free memory.
    ///
    /// # Safety
    /// Each page meets the conditions of [`Memory::free_page`].
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

    /// Unmaps a page so that its frame can be given back to Xen.
    ///
    /// # Errors
    /// The hypercall's own, together with the unchanged page.
    ///
    /// # Safety
    /// No grant entry names it, and nobody reads or writes it by its address any more.
    unsafe fn detach_page(&self, page: Page) -> Result<Vacancy, (Page, Errno)>;

    /// Makes frame `gfn` the page of a vacancy. Its content is unspecified.
    ///
    /// # Errors
    /// The hypercall's own, together with the unchanged vacancy.
    ///
    /// # Implementation safety
    /// As for [`Memory::alloc_page`].
    ///
    /// # Safety
    /// Xen gave the frame to this domain for this PFN ([`crate::Hypervisor::populate_physmap`]), or
    /// it is the frame that was detached from there and never given back.
    unsafe fn attach_page(&self, vacancy: Vacancy, gfn: u64) -> Result<Page, (Vacancy, Errno)>;

    /// Returns a vacancy at a PFN that this domain has never used. `None` if there is no room for
    /// one, or no frame for the page tables it needs. The allocator no longer counts frames that
    /// become page tables ([`FrameCount::total`]).
    fn extend(&self) -> Option<Vacancy>;

    /// Reserves `pages` pages of address space, at least 1. Nothing can be mapped there before
    /// [`Memory::prepare_slot`].
    ///
    /// # Implementation safety
    /// No other slot and no page has these addresses until the slot is released.
    fn reserve_slot(&self, pages: u32) -> Option<PageSlot>;

    /// Whether Xen translates this domain's frame numbers (PVH). A map operation then names a
    /// guest-physical address, and mapping one of our own frames at a second such address removes
    /// it from the first.
    ///
    /// # Implementation safety
    /// If it returns false, a frame of ours stays where it is when it is also mapped elsewhere.
    fn is_translated(&self) -> bool;

    /// Makes sure that these pages of the slot have L1 page tables; earlier pages already have
    /// them. May use frames and hypercalls. Repeating it for the same range does nothing.
    ///
    /// # Errors
    /// ENOMEM if no frame is left for a table; pages prepared before stay prepared.
    fn prepare_slot(&self, slot: &PageSlot, pages: Range<u32>) -> Result<(), Errno>;

    /// Returns how a map operation names page `page` of a slot: under PV by its address or its
    /// page-table entry's, under PVH by a guest-physical address. It changes only when the domain
    /// is restored ([`Memory::restores`]).
    ///
    /// # Implementation safety
    /// Mapping there makes the foreign page appear at the slot's address + `page` * 4096 and
    /// changes nothing else. For a page that was not prepared, Xen refuses the returned address.
    fn host_addr(&self, slot: &PageSlot, page: u32) -> HostAddr;

    /// Returns how often the domain was restored. A restore invalidates all earlier results of
    /// [`Memory::host_addr`].
    fn restores(&self) -> u32 {
        0
    }

    /// Takes address space back.
    ///
    /// # Safety
    /// Nothing is mapped there, and nobody reads or writes there any more.
    unsafe fn release_slot(&self, slot: PageSlot);

    /// Maps the grant table's frames from `first` on, read-write, after those that are already
    /// mapped.
    ///
    /// # Errors
    /// ENOMEM if no frame is left for page tables, otherwise the hypercall's own.
    ///
    /// # Safety
    /// `frames` is what `GNTTABOP_setup_table` returned for them, and `first` is the number of
    /// frames already mapped.
    unsafe fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno>;

    /// Returns the entries of all mapped grant-table frames.
    ///
    /// # Safety
    /// An entry is an order to Xen: it lets another domain read or write the frame that it names.
    /// The caller writes only its own entries, and only frames of pages that it holds.
    unsafe fn grant_entries(&self) -> &[GrantEntryV1];

    /// Called around every access to a word that Xen, a daemon or a peer also writes, so that a
    /// test can let them act there. In a real guest they act whenever they like.
    fn observe(&self, _moment: Moment) {}

    /// Returns the state of the frame allocator.
    fn frames(&self) -> FrameCount;

    /// Copies from memory that others may be writing, reading each byte once.
    ///
    /// # Safety
    /// The `dst.len()` bytes from `src` on lie in one [`Page`] or in live mappings of the caller's.
    unsafe fn read(&self, src: usize, dst: &mut [u8]);

    /// Copies to memory that others may be reading or writing.
    ///
    /// # Safety
    /// The `src.len()` bytes from `dst` on lie in one [`Page`] or in live writable mappings of the
    /// caller's.
    unsafe fn write(&self, dst: usize, src: &[u8]);

    /// Atomically reads 32 bits that others may be writing, with acquire ordering: later reads see
    /// what the writer wrote before it stored them.
    ///
    /// # Safety
    /// `addr` is a multiple of 4 in a [`Page`] or live mapping of the caller's.
    unsafe fn load_u32(&self, addr: usize) -> u32;

    /// Atomically writes 32 bits that others may be reading, with release ordering: after
    /// everything written before.
    ///
    /// # Safety
    /// `addr` is a multiple of 4 in a [`Page`] or live writable mapping of the caller's.
    unsafe fn store_u32(&self, addr: usize, value: u32);

    /// Atomically sets bits of a byte that others may be changing, and returns the previous value.
    /// Whichever side comes second sees what the other wrote before its own operation.
    ///
    /// # Safety
    /// `addr` lies in a [`Page`] or live writable mapping of the caller's.
    unsafe fn fetch_or_u8(&self, addr: usize, bits: u8) -> u8;

    /// Atomically keeps these bits of such a byte, clears the others, and returns the previous
    /// value.
    ///
    /// # Safety
    /// As [`Memory::fetch_or_u8`].
    unsafe fn fetch_and_u8(&self, addr: usize, bits: u8) -> u8;

    /// Writes zeroes over one page.
    ///
    /// # Safety
    /// `addr` is the address of a [`Page`] of the caller's.
    unsafe fn zero_page(&self, addr: usize);

    /// Tries to store one byte to memory that may be mapped read-only, catching the fault. Returns
    /// whether the store succeeded.
    ///
    /// # Safety
    /// `addr` lies in a live mapping of the caller's, read-only or writable.
    unsafe fn probe_write(&self, addr: usize, value: u8) -> bool;
}

/// Everything that a guest stands on. Implemented by every type that implements both traits.
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
