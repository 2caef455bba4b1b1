// SPDX-License-Identifier: MIT OR Apache-2.0
//! Address space in which every reservation has a part of its own.
//!
//! The whole service has one slot, so that taking a part costs no call of the seam. A part of the
//! same length as the one given back last takes its place; others are taken lowest first, so that
//! existing page tables are reused. All parts with several pages share the room for a batch of
//! unmaps, which is as long as the longest part taken so far.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::lock::Mutex;
use xen_sys::grant_table::{GnttabMapGrantRef, GnttabUnmapGrantRef};

use super::batch;
use super::notices::Notices;
use crate::few::Few;
use crate::memory::{PAGE_SIZE, PageSlot, Platform};
use crate::run_tree::RunTree;
use crate::{ClaimedGrant, DomId, Errno, Error};

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
    free: FreeRuns,
    /// How many parts are taken.
    taken: u32,
    /// How many pages from the start are prepared for mapping.
    prepared: u32,
    /// Whether there is room for a batch of unmaps.
    room: bool,
}

/// The pages that no part has.
#[derive(Debug)]
struct FreeRuns {
    tree: RunTree,
    /// The run given back last, which the tree counts as taken: usually the next one is as long.
    last: Option<Range<u32>>,
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
        let parts = Mutex::new(Parts {
            slot: None,
            free: FreeRuns::new(),
            taken: 0,
            prepared: 0,
            room: false,
        });
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

    /// Takes a part with a page for each of `grants`, at least 1, prepared for mapping. Returns it,
    /// its address, and its map operations, filled in.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn take(
        &self,
        grants: &[ClaimedGrant],
    ) -> Result<(Part, usize, Few<GnttabMapGrantRef>), Error> {
        let pages = u32::try_from(grants.len()).map_err(|_| Error::NO_MEMORY)?;
        let parts = &mut *self.parts.lock();
        if pages > 1 {
            parts.room = true;
            let unmaps = &mut *self.unmaps.lock();
            unmaps.clear();
            unmaps.try_reserve_exact(grants.len()).map_err(|_| Error::NO_MEMORY)?;
        }
        if parts.slot.is_none() {
            parts.slot = self.xen.reserve_slot(SIZE);
        }
        let run = parts.free.take(pages).ok_or(NO_ADDRESS_SPACE)?;
        match parts.prepare(&self.xen, &run, grants) {
            Ok((addr, ops)) => {
                parts.taken += 1;
                Ok((Part { run }, addr, ops))
            }
            Err(error) => {
                parts.free.give(run);
                Err(error)
            }
        }
    }

    /// Returns room for a batch of unmaps of any part with several pages.
    pub(super) fn unmaps(&self) -> &Mutex<Vec<GnttabUnmapGrantRef>> {
        &self.unmaps
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
        parts.taken -= 1;
        if parts.taken == 0 && parts.room {
            parts.room = false;
            *self.unmaps.lock() = Vec::new();
        }
    }
}

impl Parts {
    /// Prepares a run for mapping. Returns its address, and its operations, filled in.
    fn prepare<X: Platform>(
        &mut self,
        xen: &X,
        run: &Range<u32>,
        grants: &[ClaimedGrant],
    ) -> Result<(usize, Few<GnttabMapGrantRef>), Error> {
        let slot = self.slot.as_ref().ok_or(NO_ADDRESS_SPACE)?;
        if run.end > self.prepared {
            xen.prepare_slot(slot, self.prepared..run.end).map_err(|_| NO_ADDRESS_SPACE)?;
            self.prepared = run.end;
        }
        let mut ops = Few::with_room(grants.len())?;
        match grants {
            [grant] => ops.push(batch::operation(&xen.host_addr(slot, run.start), grant)),
            _ => batch::operations(xen, slot, run.start, grants).for_each(|run| ops.extend(run)),
        }
        Ok((slot.addr() + run.start as usize * PAGE_SIZE, ops))
    }
}

impl FreeRuns {
    const fn new() -> Self {
        Self { tree: RunTree::new(SIZE), last: None }
    }

    /// Takes a run of `pages` pages: the one given back last, or the lowest that fits.
    fn take(&mut self, pages: u32) -> Option<Range<u32>> {
        if let Some(last) = self.last.take() {
            if last.end - last.start == pages {
                return Some(last);
            }
            self.tree.give(last);
        }
        let first = self.tree.take(pages)?;
        Some(first..first + pages)
    }

    /// Gives a run back.
    fn give(&mut self, run: Range<u32>) {
        if let Some(last) = self.last.replace(run) {
            self.tree.give(last);
        }
    }
}

impl<X: Platform> Drop for Space<X> {
    fn drop(&mut self) {
        let parts = self.parts.get_mut();
        // If a page in it could not be unmapped or a part was leaked, it is never released.
        if let Some(slot) = parts.slot.take().filter(|_| parts.taken == 0) {
            // SAFETY: every part came back, with nothing mapped in it.
            unsafe { self.xen.release_slot(slot) };
        }
    }
}

const NO_ADDRESS_SPACE: Error =
    Error::Local(Errno::ENOMEM, &"no address space, or no frame for its page tables");
