//! The seam to memory: pages of ours, and address space that holds none.
//!
//! Words used here and in the kernel:
//!
//! * **PFN**: a frame's number in this domain, 0 to `nr_pages` - 1.
//! * **MFN**: its number in the machine, what a grant entry names. Under PV, MFN == GFN != PFN.
//! * **[`Page`]**: one page of this domain's memory and its MFN. It owns both.
//! * **[`PageSlot`]**: a range of addresses whose L1 tables exist and are empty, for mapping
//!   what *another* domain owns.
//!
//! A `Page` is never mapped over and a `PageSlot` is never backed by memory of ours, so "map over
//! something live" can't be written. Memory that another domain can write is never a reference:
//! it is read and written by address through the methods of [`Memory`].
#![expect(unsafe_code, reason = "methods that take addresses have duties for the caller")]

use xen_sys::grant_table::GrantEntryV1;

use crate::Errno;

/// Bytes in a page, and in a machine frame.
pub const PAGE_SIZE: usize = 4096;

/// One page of this domain's own memory.
///
/// Dropping one without [`Memory::free_page`] leaks it, which [`crate::fake`] reports.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a page that is dropped is lost; give it back with `free_page`"]
pub struct Page {
    addr: usize,
    mfn: u64,
    clean: bool,
}

impl Page {
    /// A page at `addr`, a multiple of 4096, in machine frame `mfn`. `clean`: every byte is known
    /// to be zero.
    ///
    /// Only an implementor of [`Memory`] has a reason to call this.
    pub fn new(addr: usize, mfn: u64, clean: bool) -> Self {
        Self { addr, mfn, clean }
    }

    /// The address of its first byte.
    pub fn addr(&self) -> usize {
        self.addr
    }

    /// The machine frame that holds it.
    pub fn mfn(&self) -> u64 {
        self.mfn
    }

    /// Whether every byte is known to be zero.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// Records whether every byte is known to be zero.
    pub fn set_clean(&mut self, clean: bool) {
        self.clean = clean;
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
    /// Only an implementor of [`Memory`] has a reason to call this.
    pub fn new(addr: usize, pages: u32) -> Self {
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
}

/// Pages, address space, and access to memory that others write.
pub trait Memory {
    /// A page for the caller alone. Its content is unspecified unless it [`Page::is_clean`].
    ///
    /// # Implementation safety
    /// The page is mapped read-write and no-execute, nothing else uses it until it is freed, and
    /// its frame is not a page table, so that granting it can be refused by nothing.
    fn alloc_page(&self) -> Option<Page>;

    /// Takes a page back. The caller has made sure that no grant entry names it any more.
    fn free_page(&self, page: Page);

    /// Reserves `pages` pages of address space, at least 1. It can't be mapped into before
    /// [`Memory::prepare_slot`].
    fn reserve_slot(&self, pages: u32) -> Option<PageSlot>;

    /// Makes sure that the L1 tables of the slot's first `pages` pages exist. May use frames and
    /// hypercalls; repeated for the same range it does nothing.
    ///
    /// # Errors
    /// ENOMEM if there is no frame left for a table; what was prepared before stays so.
    fn prepare_slot(&self, slot: &PageSlot, pages: u32) -> Result<(), Errno>;

    /// Takes address space back. The caller has unmapped everything in it.
    fn release_slot(&self, slot: PageSlot);

    /// Makes the grant table's frames `first ..` readable and writable for us, behind the ones
    /// that are mapped already.
    ///
    /// # Errors
    /// ENOMEM without frames for the tables, else the hypercall's own.
    fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno>;

    /// The entries of all grant-table frames that were mapped.
    fn grant_entries(&self) -> &[GrantEntryV1];

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
