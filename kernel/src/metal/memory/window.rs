//! The window: addresses for what other domains and Xen own.
//!
//! Relies on nothing else living in its L4 slots. A reservation is a range of addresses; its L1
//! tables are made when it is prepared, and kept: the next reservation there finds them. Free
//! ranges are kept sorted and merged, the lowest that fits is taken, so that tables are reused.
#![expect(unsafe_code, reason = "maps frames at addresses")]

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{ptr, slice};

use drivers::Errno;
use spin::Mutex;
use xen_sys::grant_table::GrantEntryV1;

use super::frames::POOL;
use super::layout::{GRANT_TABLE, MAPPINGS, SHARED_INFO};
use super::tables::{self, DATA};
use super::{Mfn, PAGE_SIZE};

/// The ranges of [`MAPPINGS`] that are not reserved.
static FREE: Mutex<FreeRanges> = Mutex::new(FreeRanges { ranges: Vec::new(), reserved: 0 });

struct FreeRanges {
    /// Sorted, none touching the next.
    ranges: Vec<Range<usize>>,
    reserved: usize,
}

impl FreeRanges {
    /// The lowest range of `len` bytes.
    fn reserve(&mut self, len: usize) -> Option<usize> {
        if self.ranges.is_empty() && self.reserved == 0 {
            self.ranges.try_reserve(1).ok()?;
            self.ranges.push(MAPPINGS);
        }
        // A release must not fail for want of memory, so the room is made now: between n
        // reservations lie at most n + 1 free ranges, and one more while two are being merged.
        let enough = (self.reserved + 1) + 2;
        self.ranges.try_reserve(enough.saturating_sub(self.ranges.len())).ok()?;
        let at = self.ranges.iter().position(|range| range.len() >= len)?;
        let start = self.ranges[at].start;
        self.ranges[at].start += len;
        if self.ranges[at].is_empty() {
            self.ranges.remove(at);
        }
        self.reserved += 1;
        Some(start)
    }

    fn release(&mut self, range: Range<usize>) {
        let at = self.ranges.partition_point(|free| free.start < range.start);
        self.ranges.insert(at, range);
        self.merge_with_next(at);
        if at > 0 {
            self.merge_with_next(at - 1);
        }
        self.reserved -= 1;
    }

    fn merge_with_next(&mut self, at: usize) {
        if self.ranges.get(at + 1).is_some_and(|next| next.start == self.ranges[at].end) {
            self.ranges[at].end = self.ranges.remove(at + 1).end;
        }
    }
}

/// Reserves addresses for `pages` pages, without tables yet.
pub fn reserve(pages: u32) -> Option<usize> {
    FREE.lock().reserve(pages as usize * PAGE_SIZE)
}

/// Makes the L1 tables for `pages` pages from `address`.
///
/// # Errors
/// ENOMEM if there is no frame for a table.
pub fn prepare(address: usize, pages: u32) -> Result<(), Errno> {
    POOL.lock().ensure_tables(address..address + pages as usize * PAGE_SIZE)
}

/// Takes back what [`reserve`] gave.
pub fn release(address: usize, pages: u32) {
    FREE.lock().release(address..address + pages as usize * PAGE_SIZE);
}

/// Maps the page that Xen shares with the domain, and makes the tables for the grant table.
///
/// # Errors
/// ENOMEM without frames for the tables; else Xen's.
pub fn map_shared_info(mfn: Mfn) -> Result<(), Errno> {
    POOL.lock().ensure_tables(SHARED_INFO..GRANT_TABLE.end)?;
    // SAFETY: the address is this page's alone.
    unsafe { tables::map(SHARED_INFO, mfn, DATA) }
}

/// Frames of the grant table that are mapped.
static GRANT_FRAMES: AtomicUsize = AtomicUsize::new(0);

/// Maps frames of the grant table behind the `first` that are mapped already.
///
/// # Errors
/// ENOMEM beyond the 510 frames that have room; else Xen's.
pub fn map_grant_frames(first: usize, frames: impl Iterator<Item = Mfn>) -> Result<(), Errno> {
    for (index, mfn) in (first..).zip(frames) {
        let address = GRANT_TABLE.start + index * PAGE_SIZE;
        if !GRANT_TABLE.contains(&address) {
            return Err(Errno::ENOMEM);
        }
        // SAFETY: the address is the grant table's alone, and behind what is mapped.
        unsafe { tables::map(address, mfn, DATA) }?;
        GRANT_FRAMES.fetch_max(index + 1, Ordering::Relaxed);
    }
    Ok(())
}

/// The entries of the frames that are mapped.
pub fn grant_entries() -> &'static [GrantEntryV1] {
    let entries = GRANT_FRAMES.load(Ordering::Relaxed) * PAGE_SIZE / size_of::<GrantEntryV1>();
    let table = ptr::with_exposed_provenance(GRANT_TABLE.start);
    // SAFETY: so many frames of the table are mapped, for good; all fields are atomic.
    unsafe { slice::from_raw_parts(table, entries) }
}
