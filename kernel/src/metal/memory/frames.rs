// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pool of free frames: all memory of the domain that nothing else uses.
//!
//! Two lists, one of frames known to be clean (zeroed) and one of the rest, are threaded through
//! the free frames themselves, so every operation is O(1). Frames beyond the initial mapping join
//! the pool one L1 table (512 frames) at a time, when it runs low; only [`Pool::take`] and the idle
//! loop do that. The frames for those tables are reserved in advance and not counted as free, so
//! linking memory doesn't change the count.
//!
//! Refuses: to hand out a frame that the builder or a page table uses.
#![expect(unsafe_code, reason = "takes frames that nobody else has, on a promise")]

use core::ops::Range;

use drivers::Errno;
use spin::Mutex;

use super::free_list::FreeList;
use super::layout::{self, DIRECT_MAP};
use super::{PAGE_SIZE, Pfn, TABLE_ENTRIES, tables, translate};
use crate::metal::interface::interface;

/// Below this, an allocation refills the pool; enough for the tables of one refill.
const LOW: u64 = 8;

/// Below this, the idle loop refills the pool, so that allocations seldom have to.
const IDLE_LOW: u64 = 128;

/// This domain's free frames.
pub static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// A frame, owned by whoever holds this.
#[derive(Debug)]
pub struct OwnedFrame {
    /// Its number.
    pub pfn: Pfn,
    /// Whether every byte of it is known to be zero.
    pub clean: bool,
}

/// Free frames, and memory without an address yet.
#[derive(Debug)]
pub struct Pool {
    clean: FreeList,
    dirty: FreeList,
    /// Frames that will join the pool once linked.
    unlinked: Range<u64>,
    /// Tables needed to link the rest of memory, the heap's part included.
    tables_owed: u64,
    /// Frames managed: in use or free.
    total: u64,
    /// The domain's frames that are not managed here: the image's, the heap's, and the tables for
    /// PFNs beyond those that the domain started with.
    others: u64,
    /// PFNs beyond those that the domain started with.
    beyond: u64,
}

impl Pool {
    const fn new() -> Self {
        Self {
            clean: FreeList::EMPTY,
            dirty: FreeList::EMPTY,
            unlinked: 0..0,
            tables_owed: 0,
            total: 0,
            others: 0,
            beyond: 0,
        }
    }

    /// Gives the pool its memory: `mapped` frames have an address, `unlinked` ones don't.
    ///
    /// # Safety
    /// All of them are free: neither the builder nor the kernel uses them.
    pub unsafe fn init(&mut self, mapped: Range<Pfn>, unlinked: Range<Pfn>) {
        // Backwards, so that the lowest frames are handed out first.
        for pfn in (mapped.start.0..mapped.end.0).rev() {
            // SAFETY: free, as the caller promises, and in the initial mapping.
            unsafe { self.dirty.push(Pfn(pfn)) };
        }
        self.unlinked = unlinked.start.0..unlinked.end.0;
        self.total = self.dirty.len() + (self.unlinked.end - self.unlinked.start);
        self.others = layout::nr_pages().0.saturating_sub(self.total);
        let beyond = layout::nr_pages().0 - translate::initial_end().0;
        if beyond > 0 {
            let first = DIRECT_MAP + translate::initial_end().0 as usize * PAGE_SIZE;
            let end = DIRECT_MAP + layout::nr_pages().0 as usize * PAGE_SIZE;
            self.tables_owed = tables::missing(first..end);
        }
    }

    /// Number of free frames that have an address.
    #[inline]
    fn linked(&self) -> u64 {
        self.clean.len() + self.dirty.len()
    }

    /// Number of frames available to allocations, with or without an address so far.
    #[inline]
    pub fn free(&self) -> u64 {
        (self.linked() + self.unlinked.end - self.unlinked.start).saturating_sub(self.tables_owed)
    }

    /// Number of frames that the pool manages, in use or free.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Number of frames that the domain has.
    pub fn domain(&self) -> u64 {
        self.total + self.others
    }

    /// Takes a frame, a clean one if there is any.
    pub fn take(&mut self) -> Option<OwnedFrame> {
        let mut taken = None;
        self.take_run(1, |frame, _| taken = Some(frame));
        taken
    }

    /// Takes up to `count` frames, clean ones first, and passes each to `take` with its address.
    #[inline]
    pub fn take_run(&mut self, count: u32, mut take: impl FnMut(OwnedFrame, usize)) {
        let mut missing = u64::from(count);
        while missing > 0 {
            // Usually this one check shows that there is enough.
            let kept = self.tables_owed.max(LOW);
            if self.linked() <= kept {
                if self.free() == 0 {
                    return;
                }
                self.refill(LOW);
            }
            // Beyond those to be kept, one at a time.
            let now = self.linked().saturating_sub(kept).max(1).min(missing);
            let clean = self.clean.len() > 0;
            let list = if clean { &mut self.clean } else { &mut self.dirty };
            let taken = list.pop_run(now, |pfn, at| take(OwnedFrame { pfn, clean }, at));
            if taken == 0 {
                return;
            }
            missing -= taken;
        }
    }

    /// Takes a frame back; `clean` if every byte of it is known to be zero.
    ///
    /// # Safety
    /// The frame came from [`Pool::take`], and nobody reads, writes, maps or grants it any more.
    #[inline]
    pub unsafe fn give_back(&mut self, frame: OwnedFrame) {
        let list = if frame.clean { &mut self.clean } else { &mut self.dirty };
        // SAFETY: frames of the pool have an address; the rest is the caller's promise.
        unsafe { list.push(frame.pfn) };
    }

    /// Records that a taken frame leaves the domain.
    pub fn shrink(&mut self) {
        self.total -= 1;
    }

    /// Records that a frame has joined the domain, and may be given to the pool.
    pub fn grow(&mut self) {
        self.total += 1;
    }

    /// A PFN beyond those that the domain started with. Its L1 table is separate from theirs,
    /// because linking the rest of memory must not find a table in its way. `None` without frames
    /// for the tables.
    pub fn extend(&mut self) -> Option<Pfn> {
        let pfn = Pfn(self.first_beyond() + self.beyond);
        let address = DIRECT_MAP + pfn.0 as usize * PAGE_SIZE;
        let mut take = || {
            let frame = self.take()?;
            // It never comes back, and nobody who looks for a leak should find it.
            self.total -= 1;
            self.others += 1;
            Some(frame.pfn)
        };
        interface().make_room(&mut take, pfn).ok()?;
        tables::ensure(&mut take, address..address + PAGE_SIZE).ok()?;
        self.beyond += 1;
        Some(pfn)
    }

    /// The end of the PFNs that the domain has used so far.
    pub fn end(&self) -> Pfn {
        let first = layout::nr_pages();
        if self.beyond == 0 { first } else { Pfn(self.first_beyond() + self.beyond) }
    }

    fn first_beyond(&self) -> u64 {
        layout::nr_pages().0.next_multiple_of(TABLE_ENTRIES as u64)
    }

    /// Creates the L1 tables for `range` of the window, from frames of the pool.
    ///
    /// # Errors
    /// ENOMEM if there is no frame for a table.
    pub fn ensure_tables(&mut self, range: Range<usize>) -> Result<(), Errno> {
        tables::ensure(&mut || self.take().map(|frame| frame.pfn), range)
    }

    /// Maps `pfn` and the other frames of its L1 table in the direct map. The tables come from the
    /// frames reserved for that, dirty ones first, since a table is overwritten as a whole.
    ///
    /// # Errors
    /// ENOMEM if there is no frame for a table.
    pub fn link_region(&mut self, pfn: Pfn) -> Result<(), Errno> {
        let mut take = || {
            self.tables_owed = self.tables_owed.saturating_sub(1);
            self.dirty.pop().or_else(|| self.clean.pop())
        };
        tables::link_region(&mut take, pfn)
    }

    /// Links more memory if fewer than `low` free frames have an address.
    #[inline]
    pub fn refill(&mut self, low: u64) {
        if self.linked() < low && !self.unlinked.is_empty() {
            self.link_more();
        }
    }

    #[cold]
    fn link_more(&mut self) {
        let first = self.unlinked.start;
        let end = self.unlinked.end.min((first + 1).next_multiple_of(TABLE_ENTRIES as u64));
        if self.link_region(Pfn(first)).is_err() {
            // Xen refused a table. The frames stay unlinked; the next refill tries again.
            return;
        }
        self.unlinked.start = end;
        for pfn in (first..end).rev().map(Pfn) {
            match interface().gfn_of(pfn) {
                // SAFETY: just linked, and free like everything that `init` was given.
                Some(_) => unsafe { self.dirty.push(pfn) },
                // A hole in the domain's memory, so there is no frame here.
                None => self.total -= 1,
            }
        }
    }
}

/// Links more memory if the pool runs low. Called by the idle loop.
pub fn refill_when_idle() {
    POOL.lock().refill(IDLE_LOW);
}

/// Chooses `pages` frames at consecutive addresses to keep out of the pool. They come from the end
/// of the free part of the initial mapping (`spare`) if that leaves enough to start with, so that
/// nothing need be linked; otherwise they are the first frames beyond it. In a domain too small for
/// either, half of `spare` is chosen.
pub fn set_aside(pages: u64, spare: &Range<Pfn>) -> Range<Pfn> {
    let room = spare.end.0 - spare.start.0;
    let beyond = translate::initial_end();
    let fits = pages + 2 * IDLE_LOW <= room;
    if !fits && pages <= layout::nr_pages().0 - beyond.0 {
        return beyond..Pfn(beyond.0 + pages);
    }
    let pages = if fits { pages } else { pages.min(room / 2) };
    Pfn(spare.end.0 - pages)..spare.end
}
