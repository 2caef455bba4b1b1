// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pool of free frames: all of the domain's memory that nothing else lives in.
//!
//! Two lists, of frames known to be clean (zeroed) and of the others, threaded through the free
//! frames themselves: every operation is O(1). Frames beyond the initial mapping join the pool
//! one L1 table (512 frames) at a time, when it runs low; that is done in [`Pool::take`] and by
//! the idle loop, nowhere else. The tables for that are paid for in advance: they are not
//! counted as free, so the count does not move when memory is linked.
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

/// The pool is refilled within an allocation below this: enough for the tables of one refill.
const LOW: u64 = 8;

/// The idle loop refills below this, so that an allocation seldom has to.
const IDLE_LOW: u64 = 128;

/// The frames of this domain.
pub static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// A frame that belongs to whoever holds this.
#[derive(Debug)]
pub struct OwnedFrame {
    /// Its number.
    pub pfn: Pfn,
    /// Whether every byte of it is known to be zero.
    pub clean: bool,
}

/// Free frames, and memory that has no address yet.
#[derive(Debug)]
pub struct Pool {
    clean: FreeList,
    dirty: FreeList,
    /// Frames for the pool that are not linked yet.
    unlinked: Range<u64>,
    /// Tables that linking the rest of memory, the heap's part included, will take.
    tables_owed: u64,
    /// Frames managed: in use or free.
    total: u64,
    /// Frames of the domain's that are not managed here: the image's, the heap's.
    others: u64,
    /// Places beyond those that the domain was started with.
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

    /// Gives the pool its memory: `mapped` frames with an address, `unlinked` ones without.
    ///
    /// # Safety
    /// Both are free: nothing of the builder's or the kernel's lives there.
    pub unsafe fn init(&mut self, mapped: Range<Pfn>, unlinked: Range<Pfn>) {
        // Backwards, so that the lowest frames leave the pool first.
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

    /// Frames that are free and have an address.
    #[inline]
    fn linked(&self) -> u64 {
        self.clean.len() + self.dirty.len()
    }

    /// Frames that the next allocations can have, whether they have an address yet or not.
    #[inline]
    pub fn free(&self) -> u64 {
        (self.linked() + self.unlinked.end - self.unlinked.start).saturating_sub(self.tables_owed)
    }

    /// Frames that the pool manages, in use or free.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// All frames that the domain has.
    pub fn domain(&self) -> u64 {
        self.total + self.others
    }

    /// A frame for the caller: a clean one if there is any.
    #[inline]
    pub fn take(&mut self) -> Option<OwnedFrame> {
        // Mostly this one look tells that there is enough.
        if self.linked() <= self.tables_owed.max(LOW) {
            if self.free() == 0 {
                return None;
            }
            self.refill(LOW);
        }
        match self.clean.pop() {
            Some(pfn) => Some(OwnedFrame { pfn, clean: true }),
            None => self.dirty.pop().map(|pfn| OwnedFrame { pfn, clean: false }),
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

    /// A frame that was taken leaves the domain.
    pub fn shrink(&mut self) {
        self.total -= 1;
    }

    /// A frame has come that can be given back to the pool.
    pub fn grow(&mut self) {
        self.total += 1;
    }

    /// A place for a frame beyond those of the start, in an L1 table of its own: nothing when the
    /// rest of memory is linked must find a table there. `None` without frames for what it takes.
    pub fn extend(&mut self) -> Option<Pfn> {
        let first = layout::nr_pages().0.next_multiple_of(TABLE_ENTRIES as u64);
        let pfn = Pfn(first + self.beyond);
        interface().make_room(&mut || self.take().map(|frame| frame.pfn), pfn).ok()?;
        let address = DIRECT_MAP + pfn.0 as usize * PAGE_SIZE;
        self.ensure_tables(address..address + PAGE_SIZE).ok()?;
        self.beyond += 1;
        Some(pfn)
    }

    /// Makes the L1 tables for `range` of the window, from frames of the pool.
    ///
    /// # Errors
    /// ENOMEM if there is no frame for a table.
    pub fn ensure_tables(&mut self, range: Range<usize>) -> Result<(), Errno> {
        tables::ensure(&mut || self.take().map(|frame| frame.pfn), range)
    }

    /// Gives `pfn` and the others of its L1 table their addresses in the direct map. The tables
    /// are made of what was set aside for that; dirty frames first, since a table is overwritten
    /// as a whole.
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
            // Xen refused a table. The frames stay where they are; the next refill tries again.
            return;
        }
        self.unlinked.start = end;
        for pfn in (first..end).rev().map(Pfn) {
            match interface().gfn_of(pfn) {
                // SAFETY: just linked, and free as all that `init` was given.
                Some(_) => unsafe { self.dirty.push(pfn) },
                // A hole in the domain's memory: not mapped, and no frame after all.
                None => self.total -= 1,
            }
        }
    }
}

/// Links more memory if the pool runs low. For the idle loop.
pub fn refill_when_idle() {
    POOL.lock().refill(IDLE_LOW);
}

/// Chooses `pages` frames at consecutive addresses to be kept from the pool: the end of what is
/// free in the initial mapping (`spare`) if enough is left there to start with, so that nothing
/// need be linked; else the first that are beyond. A domain too small for either gives half of
/// `spare`.
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
