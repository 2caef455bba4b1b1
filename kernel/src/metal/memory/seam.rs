// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to memory on bare metal: [`Memory`] for [`Xen`], one line per method.
#![expect(unsafe_code, reason = "the seam has unsafe methods")]

use core::ops::Range;
use core::ptr;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use drivers::Errno;
use drivers::memory::{FrameCount, HostAddr, Memory, Page, PageSlot, Vacancy};
use xen_sys::grant_table::{Gntmap, GrantEntryV1};

use super::frames::{OwnedFrame, POOL};
use super::{Gfn, PAGE_SIZE, Pfn, access, translate, window};
use crate::metal::interface::interface;
use crate::{Mode, Xen};

// SAFETY: a page is a frame of the pool, mapped at its address for life and never a table; slots
// are disjoint ranges of the window.
unsafe impl Memory for Xen {
    fn alloc_page(&self) -> Option<Page> {
        let OwnedFrame { pfn, clean } = POOL.lock().take()?;
        // The pool has no holes.
        let Gfn(gfn) = interface().gfn_of(pfn)?;
        // SAFETY: out of the pool, so the caller's alone, and mapped.
        Some(unsafe { Page::new(translate::address_of(pfn), gfn, clean) })
    }

    unsafe fn free_page(&self, page: Page) {
        let frame = OwnedFrame { pfn: translate::frame_at(page.addr()), clean: page.is_clean() };
        // SAFETY: a `Page` owns its frame, which came from the pool; the caller promises the rest.
        unsafe { POOL.lock().give_back(frame) };
    }

    fn alloc_pages(&self, count: u32, mut take: impl FnMut(Page)) -> u32 {
        let gfns = interface().gfns().unwrap_or_default();
        let mut passed = 0;
        POOL.lock().take_run(count, |OwnedFrame { pfn, clean }, address| {
            let gfn = match gfns.get(pfn.0 as usize) {
                Some(gfn) => Some(gfn.load(Ordering::Relaxed)),
                None => interface().gfn_of(pfn).map(|gfn| gfn.0),
            };
            // The pool has no holes.
            if let Some(gfn) = gfn {
                passed += 1;
                // SAFETY: out of the pool, so the caller's alone, and mapped.
                take(unsafe { Page::new(address, gfn, clean) });
            }
        });
        passed
    }

    unsafe fn free_pages(&self, pages: impl Iterator<Item = Page>) {
        let mut pool = POOL.lock();
        for page in pages {
            let frame =
                OwnedFrame { pfn: translate::frame_at(page.addr()), clean: page.is_clean() };
            // SAFETY: a `Page` owns its frame, from the pool; the caller promises the rest.
            unsafe { pool.give_back(frame) };
        }
    }

    unsafe fn detach_page(&self, page: Page) -> Result<Vacancy, (Page, Errno)> {
        let pfn = translate::frame_at(page.addr());
        // SAFETY: nobody uses the page any more, as the caller promises.
        if let Err(errno) = unsafe { interface().remove_page(pfn, page.addr()) } {
            return Err((page, errno));
        }
        POOL.lock().shrink();
        // SAFETY: the PFN of that page alone.
        Ok(unsafe { Vacancy::new(pfn.0) })
    }

    unsafe fn attach_page(&self, vacancy: Vacancy, gfn: u64) -> Result<Page, (Vacancy, Errno)> {
        let pfn = Pfn(vacancy.pfn());
        let address = translate::address_of(pfn);
        // SAFETY: a vacancy is a PFN without a page, and the frame is ours to put there.
        if let Err(errno) = unsafe { interface().place_page(pfn, address, Gfn(gfn)) } {
            return Err((vacancy, errno));
        }
        POOL.lock().grow();
        // SAFETY: just mapped, and nobody knows of it yet.
        Ok(unsafe { Page::new(address, gfn, false) })
    }

    fn extend(&self) -> Option<Vacancy> {
        let Pfn(pfn) = POOL.lock().extend()?;
        // SAFETY: a new PFN.
        Some(unsafe { Vacancy::new(pfn) })
    }

    fn reserve_slot(&self, pages: u32) -> Option<PageSlot> {
        let address = window::reserve(pages)?;
        // SAFETY: just reserved, so nobody else uses it, and nothing is mapped there.
        Some(unsafe { PageSlot::new(address, pages) })
    }

    fn prepare_slot(&self, slot: &PageSlot, pages: Range<u32>) -> Result<(), Errno> {
        let address = |page: u32| slot.addr() + page.min(slot.pages()) as usize * PAGE_SIZE;
        window::prepare(address(pages.start)..address(pages.end))
    }

    fn is_translated(&self) -> bool {
        interface().mode() == Mode::Pvh
    }

    fn host_addr(&self, slot: &PageSlot, page: u32) -> HostAddr {
        // A page that was not prepared has no L1 table, or an empty entry in one left by an earlier
        // slot. Beyond the slot there is no address that Xen would accept.
        let left = slot.pages().saturating_sub(page);
        if left == 0 {
            let addr = interface().host_addr(None);
            return HostAddr { addr, flags: Gntmap::empty(), pages: 1, stride: 0 };
        }
        let run = interface().host_run(slot.addr() + page as usize * PAGE_SIZE);
        HostAddr { pages: run.pages.min(left), ..run }
    }

    unsafe fn release_slot(&self, slot: PageSlot) {
        window::release(slot.addr(), slot.pages());
    }

    unsafe fn map_grant_frames(&self, first: u32, frames: &[u64]) -> Result<(), Errno> {
        window::map_grant_frames(first as usize, frames)
    }

    #[inline]
    unsafe fn grant_entries(&self) -> &[GrantEntryV1] {
        window::grant_entries()
    }

    fn frames(&self) -> FrameCount {
        let pool = POOL.lock();
        let [total, free, domain] = [pool.total(), pool.free(), pool.domain()];
        FrameCount { total: total as u32, free: free as u32, domain: domain as u32 }
    }

    #[inline]
    unsafe fn read(&self, src: usize, dst: &mut [u8]) {
        // SAFETY: the caller vouches for `src`; `dst` is a slice that nobody else can access.
        unsafe { access::copy(dst.as_mut_ptr().expose_provenance(), src, dst.len()) };
    }

    #[inline]
    unsafe fn write(&self, dst: usize, src: &[u8]) {
        // SAFETY: the caller vouches for `dst`; `src` is a slice.
        unsafe { access::copy(dst, src.as_ptr().expose_provenance(), src.len()) };
    }

    #[inline]
    unsafe fn load_u32(&self, addr: usize) -> u32 {
        let word = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: aligned and mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU32::from_ptr(word) }.load(Ordering::Acquire)
    }

    #[inline]
    unsafe fn store_u32(&self, addr: usize, value: u32) {
        let word = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: aligned and mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU32::from_ptr(word) }.store(value, Ordering::Release);
    }

    unsafe fn fetch_or_u8(&self, addr: usize, bits: u8) -> u8 {
        let byte = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU8::from_ptr(byte) }.fetch_or(bits, Ordering::AcqRel)
    }

    unsafe fn fetch_and_u8(&self, addr: usize, bits: u8) -> u8 {
        let byte = ptr::with_exposed_provenance_mut(addr);
        // SAFETY: mapped, as the caller promises; whoever else uses it, as an atomic.
        unsafe { AtomicU8::from_ptr(byte) }.fetch_and(bits, Ordering::AcqRel)
    }

    #[inline]
    unsafe fn zero_page(&self, addr: usize) {
        // SAFETY: the caller's promise.
        unsafe { access::zero_page(addr) };
    }

    unsafe fn probe_write(&self, addr: usize, value: u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { interface().probe_write(addr, value) }
    }
}
