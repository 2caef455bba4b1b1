// SPDX-License-Identifier: MIT OR Apache-2.0
//! Address space in which every reservation has a part of its own.
//!
//! The whole service has one slot, so that taking a part costs no call of the seam. Parts are taken
//! lowest first, so that existing page tables are reused. All parts also share the room for a batch
//! of unmaps, which is as long as the longest part taken so far.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use spin::{Mutex, MutexGuard};
use xen_sys::grant_table::{GnttabMapGrantRef, GnttabUnmapGrantRef};

use super::batch;
use super::notices::Notices;
use super::room::lengthen;
use crate::memory::{PAGE_SIZE, PageSlot, Platform};
use crate::run_tree::RunTree;
use crate::{ClaimedGrant, DomId, Errno, Error, Pages};

/// The size of a space in pages: 16 GiB of addresses.
const SIZE: u32 = 1 << 22;

/// Address space, and which parts of it are taken.
#[derive(Debug)]
pub(crate) struct Space<X: Platform> {
    xen: X,
    notices: Arc<Notices<X>>,
    barred: Option<DomId>,
    parts: Mutex<Parts>,
    unmaps: Mutex<Vec<GnttabUnmapGrantRef>>,
}

#[derive(Debug)]
struct Parts {
    /// `None` until the first part is taken.
    slot: Option<PageSlot>,
    free: RunTree,
    /// How many pages from the start are prepared for mapping.
    prepared: u32,
}

/// A part of a space, for its holder alone. Dropping it leaks the addresses.
#[derive(Debug)]
#[must_use = "addresses that are dropped are lost; give them back"]
pub(super) struct Part {
    /// In pages, from the start of the space.
    run: Range<u32>,
}

impl<X: Platform> Space<X> {
    /// Creates an empty space of domain `own`. `notices` are for whatever is mapped in it.
    pub(crate) fn new(xen: &X, own: DomId, notices: Arc<Notices<X>>) -> Self {
        let parts = Mutex::new(Parts { slot: None, free: RunTree::new(SIZE), prepared: 0 });
        let (barred, unmaps) = (batch::barred(xen, own), Mutex::new(Vec::new()));
        Self { xen: xen.clone(), notices, barred, parts, unmaps }
    }

    pub(super) fn notices(&self) -> &Notices<X> {
        &self.notices
    }

    /// Returns the domain whose pages can't be mapped in it.
    pub(super) fn barred(&self) -> Option<DomId> {
        self.barred
    }

    pub(super) fn xen(&self) -> &X {
        &self.xen
    }

    /// Takes a part of `pages` pages, at least 1, prepared for mapping. Returns it and its address.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn take(&self, pages: Pages) -> Result<(Part, usize), Error> {
        let parts = &mut *self.parts.lock();
        let unmaps = &mut *self.unmaps.lock();
        if unmaps.len() < pages.0 as usize {
            lengthen(unmaps, pages.0 as usize, GnttabUnmapGrantRef::default())?;
        }
        if parts.slot.is_none() {
            parts.slot = self.xen.reserve_slot(SIZE);
        }
        let slot = parts.slot.as_ref().ok_or(NO_ADDRESS_SPACE)?;
        let first = parts.free.take(pages.0).ok_or(NO_ADDRESS_SPACE)?;
        let run = first..first + pages.0;
        if run.end > parts.prepared {
            if self.xen.prepare_slot(slot, parts.prepared..run.end).is_err() {
                parts.free.give(run);
                return Err(NO_ADDRESS_SPACE);
            }
            parts.prepared = run.end;
        }
        let addr = slot.addr() + first as usize * PAGE_SIZE;
        Ok((Part { run }, addr))
    }

    /// Returns room for a batch of unmaps of any part.
    pub(super) fn unmaps(&self) -> MutexGuard<'_, Vec<GnttabUnmapGrantRef>> {
        self.unmaps.lock()
    }

    /// Fills in the operations for a part, one for each of its pages.
    pub(super) fn fill(&self, part: &Part, ops: &mut [GnttabMapGrantRef], grants: &[ClaimedGrant]) {
        let parts = self.parts.lock();
        if let Some(slot) = &parts.slot {
            batch::fill(&self.xen, slot, part.run.start, ops, grants);
        }
    }

    /// Refreshes the addresses in the operations for a part, where nothing is mapped.
    pub(super) fn refill(&self, part: &Part, ops: &mut [GnttabMapGrantRef]) {
        let parts = self.parts.lock();
        if let Some(slot) = &parts.slot {
            batch::refill(&self.xen, slot, part.run.start, ops);
        }
    }

    /// Takes back a part in which nothing is mapped.
    pub(super) fn give(&self, part: Part) {
        let parts = &mut *self.parts.lock();
        parts.free.give(part.run);
        if parts.free.is_all_free() {
            *self.unmaps.lock() = Vec::new();
        }
    }
}

impl<X: Platform> Drop for Space<X> {
    fn drop(&mut self) {
        let parts = self.parts.get_mut();
        // If a page in it could not be unmapped or a part was leaked, it is never released.
        if let Some(slot) = parts.slot.take().filter(|_| parts.free.is_all_free()) {
            // SAFETY: every part came back, with nothing mapped in it.
            unsafe { self.xen.release_slot(slot) };
        }
    }
}

const NO_ADDRESS_SPACE: Error =
    Error::Local(Errno::ENOMEM, &"no address space, or no frame for its page tables");
