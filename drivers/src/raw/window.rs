//! A window of address space, and the map operations of every page in it.
//!
//! Page `i` of the window can hold one foreign page, at a fixed address. Its map operation is
//! kept for as long as the window: Xen's status and handle are read in place, so a map or an
//! unmap allocates nothing, and a handle never parts from its address (Xen doesn't check that
//! they belong together: the wrong pair would tear down somebody else's mapping).

use alloc::vec::Vec;
use core::ops::Range;

use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus};

use super::eagain;
use crate::ids::check_status;
use crate::memory::{PAGE_SIZE, PageSlot, Platform};
use crate::{Access, Counters, Errno, Error, ForeignGrant, GrantRef};

/// No handle of Xen's, which are small numbers.
const NO_HANDLE: u32 = u32::MAX;

/// Address space for foreign pages, and what is mapped in it.
#[derive(Debug)]
pub(crate) struct Window<X: Platform> {
    xen: X,
    /// `None` only while the window is being dropped.
    slot: Option<PageSlot>,
    /// By page, as far as [`Window::prepare`] was asked for.
    maps: Vec<GnttabMapGrantRef>,
    /// Scratch for one batch of unmaps, as long as `maps`.
    unmaps: Vec<GnttabUnmapGrantRef>,
    /// What is mapped at each page now. The truth that every access below is checked against.
    live: Vec<Option<Access>>,
}

impl<X: Platform> Window<X> {
    /// Reserves `pages` pages of address space, at least 1.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(xen: &X, pages: u32) -> Result<Self, Error> {
        let slot = xen.reserve_slot(pages).ok_or(NO_ADDRESS_SPACE)?;
        let (maps, unmaps, live) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { xen: xen.clone(), slot: Some(slot), maps, unmaps, live })
    }

    fn slot(&self) -> &PageSlot {
        self.slot.as_ref().expect("held until the drop")
    }

    /// The address of page `index`.
    pub(crate) fn addr(&self, index: u32) -> usize {
        self.slot().addr() + index as usize * PAGE_SIZE
    }

    /// The page that an address lies in.
    pub(crate) fn index_of(&self, addr: usize) -> Option<u32> {
        let index = addr.checked_sub(self.slot().addr())? / PAGE_SIZE;
        (index < self.live.len()).then_some(index as u32)
    }

    /// Makes the first `pages` pages ready to be mapped into: page tables, and room for their
    /// operations.
    ///
    /// # Errors
    /// ENOMEM; what was ready stays ready.
    pub(crate) fn prepare(&mut self, pages: u32) -> Result<(), Error> {
        let (have, want) = (self.live.len(), pages as usize);
        if want <= have {
            return Ok(());
        }
        if pages > self.slot().pages() {
            return Err(NO_ADDRESS_SPACE);
        }
        let out_of_memory = |_| Error::NO_MEMORY;
        self.maps.try_reserve(want - have).map_err(out_of_memory)?;
        self.unmaps.try_reserve(want - have).map_err(out_of_memory)?;
        self.live.try_reserve(want - have).map_err(out_of_memory)?;
        self.xen.prepare_slot(self.slot(), pages).map_err(|_| NO_ADDRESS_SPACE)?;
        self.maps.resize(want, GnttabMapGrantRef { handle: NO_HANDLE, ..Default::default() });
        self.unmaps.resize(want, GnttabUnmapGrantRef::default());
        self.live.resize(want, None);
        Ok(())
    }

    /// Says what page `index` is to hold. It holds nothing now.
    pub(crate) fn announce(&mut self, index: u32, grant: ForeignGrant) {
        assert!(self.live[index as usize].is_none(), "announced over a mapping");
        let op = &mut self.maps[index as usize];
        (op.dom, op.ref_, op.status) = (grant.domid, grant.gref.0, GrantStatus::OKAY);
    }

    /// What page `index` was announced to hold.
    pub(crate) fn announced(&self, index: u32) -> ForeignGrant {
        let op = &self.maps[index as usize];
        ForeignGrant { domid: op.dom, gref: GrantRef(op.ref_) }
    }

    /// What Xen said to the last map of page `index`.
    pub(crate) fn status(&self, index: u32) -> GrantStatus {
        self.maps[index as usize].status
    }

    /// Maps a run of announced pages in one hypercall: all of them, or none.
    ///
    /// # Errors
    /// What Xen said to the first page it refused. Each page's status stays readable.
    ///
    /// # Panics
    /// If something is mapped in the run: the caller's table says what is.
    pub(crate) fn map(&mut self, run: Range<u32>, access: Access) -> Result<(), Error> {
        let pages = run.start as usize..run.end as usize;
        assert!(self.live[pages.clone()].iter().all(Option::is_none), "mapped over a mapping");
        let mut flags = Gntmap::HOST_MAP;
        if access == Access::ReadOnly {
            flags |= Gntmap::READONLY;
        }
        for index in run {
            let host_addr = self.addr(index) as u64;
            let op = &mut self.maps[index as usize];
            (op.host_addr, op.flags) = (host_addr, flags);
        }
        let (xen, ops) = (&self.xen, &mut self.maps[pages.clone()]);
        let map = |ops: &mut [GnttabMapGrantRef]| {
            // Poisoned: a continuation once left entries untouched (XSA-318).
            ops.iter_mut().for_each(|op| {
                (op.status, op.handle) = (GrantStatus::GENERAL_ERROR, NO_HANDLE);
            });
            // SAFETY: the addresses are those of prepared pages of our slot, and nothing is mapped
            // there: asserted above, and Xen maps nothing where it says eagain.
            unsafe { xen.gnttab_map(ops) }
        };
        let call = map(ops).and_then(|()| {
            let hopeless = |op: &GnttabMapGrantRef| {
                !matches!(op.status, GrantStatus::OKAY | GrantStatus::EAGAIN)
            };
            if ops.iter().any(hopeless) {
                return Ok(());
            }
            eagain::retry(xen, ops, |op| op.status, map)
        });
        let mut verdict = call.map_err(|errno| Error::Hypercall("GNTTABOP_map_grant_ref", errno));
        for index in pages.clone() {
            let op = &self.maps[index];
            match check_status(op.status, GrantRef(op.ref_)) {
                Ok(()) => self.live[index] = Some(access),
                Err(refusal) => verdict = verdict.and(Err(refusal)),
            }
        }
        if verdict.is_err() {
            // A page that can't be unmapped stays live here, and with it the window.
            let _ = self.unmap(pages.start as u32..pages.end as u32);
        }
        verdict
    }

    /// Unmaps what is mapped in a run, in one hypercall.
    ///
    /// # Errors
    /// What Xen said to the first page it didn't unmap. Such pages stay mapped, and asking again
    /// asks for them alone.
    pub(crate) fn unmap(&mut self, run: Range<u32>) -> Result<(), Error> {
        let pages = run.start as usize..run.end as usize;
        let mut batch = 0;
        for index in pages.clone().filter(|index| self.live[*index].is_some()) {
            let op = &self.maps[index];
            self.unmaps[batch] = GnttabUnmapGrantRef {
                host_addr: op.host_addr,
                handle: op.handle,
                status: GrantStatus::GENERAL_ERROR,
                ..Default::default()
            };
            batch += 1;
        }
        if batch == 0 {
            return Ok(());
        }
        // SAFETY: each entry has handle and address of one live mapping, taken from the one
        // operation that made it; reads and writes go through `live`, under the same `&mut`.
        let call = unsafe { self.xen.gnttab_unmap(&mut self.unmaps[..batch]) };
        let mut verdict = call.map_err(|errno| Error::Hypercall("GNTTABOP_unmap_grant_ref", errno));
        let mut entry = 0;
        for index in pages {
            if self.live[index].is_none() {
                continue;
            }
            match check_status(self.unmaps[entry].status, GrantRef(self.maps[index].ref_)) {
                Ok(()) => {
                    self.live[index] = None;
                    self.maps[index].handle = NO_HANDLE;
                }
                Err(refusal) => verdict = verdict.and(Err(refusal)),
            }
            entry += 1;
        }
        verdict
    }

    /// How page `index` is mapped now.
    pub(crate) fn mapped(&self, index: u32) -> Option<Access> {
        self.live.get(index as usize).copied().flatten()
    }

    /// Copies `bytes` out of the window from byte `offset` on.
    ///
    /// # Panics
    /// If part of the range is not mapped: callers know their mapping's bounds.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.assert_live(offset, bytes.len(), false);
        Counters::add(&self.xen.counters().copied, bytes.len() as u64);
        // SAFETY: every page of the range is mapped: asserted above.
        unsafe { self.xen.read(self.slot().addr() + offset, bytes) };
    }

    /// Copies `bytes` into the window from byte `offset` on.
    ///
    /// # Panics
    /// If part of the range is not mapped writable: callers know their mapping's bounds.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        self.assert_live(offset, bytes.len(), true);
        Counters::add(&self.xen.counters().copied, bytes.len() as u64);
        // SAFETY: every page of the range is mapped writable: asserted above.
        unsafe { self.xen.write(self.slot().addr() + offset, bytes) };
    }

    /// Reads the aligned 32-bit word at `offset`.
    ///
    /// # Panics
    /// If it is not mapped or not aligned: callers know their mapping's bounds.
    pub(crate) fn load_u32(&self, offset: usize) -> u32 {
        self.assert_live(offset, 4, false);
        assert!(offset.is_multiple_of(4));
        // SAFETY: aligned, and in a live mapping: asserted above.
        unsafe { self.xen.load_u32(self.slot().addr() + offset) }
    }

    /// Writes the aligned 32-bit word at `offset`.
    ///
    /// # Panics
    /// If it is not mapped writable or not aligned: callers know their mapping's bounds.
    pub(crate) fn store_u32(&self, offset: usize, value: u32) {
        self.assert_live(offset, 4, true);
        assert!(offset.is_multiple_of(4));
        // SAFETY: aligned, and in a live writable mapping: asserted above.
        unsafe { self.xen.store_u32(self.slot().addr() + offset, value) };
    }

    /// Tries to store one byte, whatever the mapping allows; whether it was stored.
    ///
    /// # Panics
    /// If nothing is mapped there.
    pub(crate) fn probe_write(&self, offset: usize, value: u8) -> bool {
        self.assert_live(offset, 1, false);
        // SAFETY: the byte lies in a live mapping: asserted above.
        unsafe { self.xen.probe_write(self.slot().addr() + offset, value) }
    }

    fn assert_live(&self, offset: usize, len: usize, writable: bool) {
        let end = offset.checked_add(len).expect("a range of the window");
        let pages = &self.live[offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE)];
        let wanted = |page: &Option<Access>| match page {
            Some(access) => !writable || *access == Access::ReadWrite,
            None => false,
        };
        assert!(pages.iter().all(wanted), "access outside what is mapped");
    }
}

impl<X: Platform> Drop for Window<X> {
    fn drop(&mut self) {
        let _ = self.unmap(0..self.live.len() as u32);
        // Address space with a page in it that Xen will not unmap is never used again.
        if let Some(slot) = self.slot.take().filter(|_| self.live.iter().all(Option::is_none)) {
            self.xen.release_slot(slot);
        }
    }
}

const NO_ADDRESS_SPACE: Error =
    Error::Invalid(Errno::ENOMEM, "no address space, or no frame for its page tables");
