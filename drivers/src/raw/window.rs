// SPDX-License-Identifier: MIT OR Apache-2.0
//! A window of address space with the map operations of all its pages, as an index device has.
//!
//! Page `i` of the window can hold one foreign page, at a fixed address. Its map operation lives as
//! long as the window, so mapping and unmapping don't allocate. Every access is checked against the
//! operations of the pages that it touches.

use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ops::Range;

use crate::lock::Mutex;
use xen_sys::grant_table::{GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus};

use super::batch;
use crate::memory::{PAGE_SIZE, PageSlot, Platform};
use crate::{Access, ClaimedGrant, Counters, DomId, Errno, Error};

/// Address space for foreign pages, and what is mapped in it.
#[derive(Debug)]
pub(crate) struct Window<X: Platform> {
    xen: X,
    /// The domain whose pages can't be mapped in it.
    barred: Option<DomId>,
    /// Released on drop, or never.
    slot: ManuallyDrop<PageSlot>,
    /// By page, as far as [`Window::prepare`] has come.
    ops: Vec<GnttabMapGrantRef>,
    /// Room for one batch of unmaps, as many as `ops`.
    unmaps: Mutex<Vec<GnttabUnmapGrantRef>>,
    /// How often the domain had been restored when the operations were filled in.
    filled: u32,
}

impl<X: Platform> Window<X> {
    /// Reserves `pages` pages of address space, at least 1, for domain `own`.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(xen: &X, own: DomId, pages: u32) -> Result<Self, Error> {
        let slot = ManuallyDrop::new(xen.reserve_slot(pages).ok_or(NO_ADDRESS_SPACE)?);
        let (barred, filled, xen) = (batch::barred(xen, own), xen.restores(), xen.clone());
        Ok(Self { xen, barred, slot, ops: Vec::new(), unmaps: Mutex::default(), filled })
    }

    /// Returns the address of page `index`.
    pub(crate) fn addr(&self, index: u32) -> usize {
        self.slot.addr() + index as usize * PAGE_SIZE
    }

    /// Returns the page that contains an address.
    pub(crate) fn index_of(&self, addr: usize) -> Option<u32> {
        let index = addr.checked_sub(self.slot.addr())? / PAGE_SIZE;
        (index < self.ops.len()).then_some(index as u32)
    }

    /// Prepares the first `pages` pages for mapping: page tables, and room for their operations.
    ///
    /// # Errors
    /// ENOMEM; pages prepared before stay prepared.
    pub(crate) fn prepare(&mut self, pages: u32) -> Result<(), Error> {
        let (have, want) = (self.ops.len(), pages as usize);
        if want <= have {
            return Ok(());
        }
        if pages > self.slot.pages() {
            return Err(NO_ADDRESS_SPACE);
        }
        let out_of_memory = |_| Error::NO_MEMORY;
        self.ops.try_reserve(want - have).map_err(out_of_memory)?;
        let unmaps = self.unmaps.get_mut();
        unmaps.clear();
        unmaps.try_reserve(want).map_err(out_of_memory)?;
        self.xen.prepare_slot(&self.slot, have as u32..pages).map_err(|_| NO_ADDRESS_SPACE)?;
        self.ops.resize(want, batch::empty());
        Ok(())
    }

    /// Sets the grants that the pages from `first` on are to map. Nothing is mapped there now.
    ///
    /// # Panics
    /// If something is mapped there, or they were not prepared.
    pub(crate) fn reserve(&mut self, first: u32, grants: &[ClaimedGrant]) {
        let run = first as usize..first as usize + grants.len();
        match self.ops.get_mut(run) {
            Some(ops) if ops.iter().all(|op| batch::mapped(op).is_none()) => {
                let mut ops = ops.iter_mut();
                for run in batch::operations(&self.xen, &self.slot, first, grants) {
                    run.zip(&mut ops).for_each(|(filled, op)| *op = filled);
                }
            }
            _ => panic!("reserved over a mapping, or what was not prepared"),
        }
    }

    /// Returns Xen's status of the last map of page `index`.
    pub(crate) fn status(&self, index: u32) -> Option<GrantStatus> {
        self.ops.get(index as usize).map(|op| op.status)
    }

    /// Maps a run of reserved pages, all or none, with one hypercall.
    ///
    /// # Errors
    /// EINVAL for a page that can't be mapped; Xen's status of the first page it refused. Each
    /// page's status stays readable. EFAULT if part of the run was not prepared.
    ///
    /// # Panics
    /// If something is mapped in the run, which the caller's table knows.
    pub(crate) fn map(&mut self, run: Range<u32>, access: Access) -> Result<(), Error> {
        if self.filled != self.xen.restores() {
            // Nothing that was mapped before the restore is still mapped.
            self.filled = self.xen.restores();
            batch::refill(&self.xen, &self.slot, 0, &mut self.ops);
        }
        let ops = run_of(&mut self.ops, &run)?;
        assert!(ops.iter().all(|op| batch::mapped(op).is_none()), "mapped over a mapping");
        // SAFETY: these are prepared pages of our slot with nothing mapped there, as asserted
        // above. A page that can't be unmapped stays `mapped`, which keeps the window.
        unsafe { batch::map(&self.xen, ops, &self.unmaps, access, self.barred) }
    }

    /// Unmaps what is mapped in a run, with one hypercall.
    ///
    /// # Errors
    /// Xen's status of the first page it refused to unmap. Such pages stay mapped, and another call
    /// unmaps only them. EFAULT if part of the run was not prepared.
    pub(crate) fn unmap(&mut self, run: Range<u32>) -> Result<(), Error> {
        let ops = run_of(&mut self.ops, &run)?;
        batch::unmap(&self.xen, ops, &self.unmaps)
    }

    /// Returns how page `index` is mapped now.
    pub(crate) fn mapped(&self, index: u32) -> Option<Access> {
        self.ops.get(index as usize).and_then(batch::mapped)
    }

    /// Whether nothing is mapped in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.iter().all(|op| batch::mapped(op).is_none())
    }

    /// Copies `bytes` out of the window from byte `offset` on.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped.
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), false)?;
        Counters::add(&self.xen.counters().copied, bytes.len() as u64);
        // SAFETY: every page of the range is mapped: checked above.
        unsafe { self.xen.read(self.slot.addr() + offset, bytes) };
        Ok(())
    }

    /// Copies `bytes` into the window from byte `offset` on.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped writable.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), true)?;
        Counters::add(&self.xen.counters().copied, bytes.len() as u64);
        // SAFETY: every page of the range is mapped writable: checked above.
        unsafe { self.xen.write(self.slot.addr() + offset, bytes) };
        Ok(())
    }

    fn check(&self, offset: usize, len: usize, writable: bool) -> Result<(), Error> {
        let end = offset.checked_add(len).ok_or(Error::BAD_ADDRESS)?;
        let ops = self.ops.get(offset / PAGE_SIZE..end.div_ceil(PAGE_SIZE));
        let wanted = |op: &GnttabMapGrantRef| match batch::mapped(op) {
            Some(access) => !writable || access == Access::ReadWrite,
            None => false,
        };
        match ops {
            Some(ops) if ops.iter().all(wanted) => Ok(()),
            _ => Err(Error::BAD_ADDRESS),
        }
    }
}

/// Returns a run's operations.
fn run_of<'a>(
    ops: &'a mut [GnttabMapGrantRef],
    run: &Range<u32>,
) -> Result<&'a mut [GnttabMapGrantRef], Error> {
    ops.get_mut(run.start as usize..run.end as usize).ok_or(Error::BAD_ADDRESS)
}

impl<X: Platform> Drop for Window<X> {
    fn drop(&mut self) {
        let _ = self.unmap(0..self.ops.len() as u32);
        // Address space with a page that Xen refuses to unmap is never used again.
        if self.is_empty() {
            // SAFETY: the last use of the field.
            let slot = unsafe { ManuallyDrop::take(&mut self.slot) };
            // SAFETY: nothing is mapped in it, and only this type reads and writes at its
            // addresses.
            unsafe { self.xen.release_slot(slot) };
        }
    }
}

const NO_ADDRESS_SPACE: Error =
    Error::Local(Errno::ENOMEM, &"no address space, or no frame for its page tables");
