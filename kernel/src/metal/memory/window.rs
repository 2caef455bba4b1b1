// SPDX-License-Identifier: MIT OR Apache-2.0
//! The window: addresses for what other domains and Xen own.
//!
//! Relies on nothing else living in its L4 slots. A reservation is a range of addresses; its L1
//! tables are made when it is prepared, and kept: the next reservation there finds them.
#![expect(unsafe_code, reason = "maps frames at addresses")]

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{ptr, slice};

use drivers::Errno;
use spin::Mutex;
use xen_sys::grant_table::GrantEntryV1;

use super::PAGE_SIZE;
use super::frames::POOL;
use super::layout::{GRANT_TABLE, MAPPINGS, SHARED_INFO};
use crate::metal::interface::interface;
use crate::ranges::FreeRanges;

/// The ranges of [`MAPPINGS`] that are not reserved.
static FREE: Mutex<FreeRanges> = Mutex::new(FreeRanges::new(MAPPINGS));

/// Reserves addresses for `pages` pages, without tables yet.
pub fn reserve(pages: u32) -> Option<usize> {
    FREE.lock().reserve(pages as usize * PAGE_SIZE)
}

/// Makes the L1 tables for these addresses of a slot.
///
/// # Errors
/// ENOMEM if there is no frame for a table.
pub fn prepare(addresses: Range<usize>) -> Result<(), Errno> {
    POOL.lock().ensure_tables(addresses)
}

/// Takes back what [`reserve`] gave.
pub fn release(address: usize, pages: u32) {
    FREE.lock().release(address..address + pages as usize * PAGE_SIZE);
}

/// Maps the page that Xen shares with the domain, and makes the tables for the grant table.
///
/// # Errors
/// ENOMEM without frames for the tables; else Xen's.
pub fn map_shared_info() -> Result<(), Errno> {
    POOL.lock().ensure_tables(SHARED_INFO..GRANT_TABLE.end)?;
    // SAFETY: the address is this page's alone.
    unsafe { interface().map_shared_info(SHARED_INFO) }
}

/// Frames of the grant table that are mapped.
static GRANT_FRAMES: AtomicUsize = AtomicUsize::new(0);

/// Maps frames of the grant table behind the `first` that are mapped already.
///
/// # Errors
/// ENOMEM beyond the 510 frames that have room; else Xen's.
pub fn map_grant_frames(first: usize, frames: &[u64]) -> Result<(), Errno> {
    for (index, &told) in (first..).zip(frames) {
        let address = GRANT_TABLE.start + index * PAGE_SIZE;
        if !GRANT_TABLE.contains(&address) {
            return Err(Errno::ENOMEM);
        }
        // SAFETY: the address is the grant table's alone, and behind what is mapped.
        unsafe { interface().map_grant_frame(address, index, told) }?;
        GRANT_FRAMES.fetch_max(index + 1, Ordering::Relaxed);
    }
    Ok(())
}

/// The entries of the frames that are mapped.
#[inline]
pub fn grant_entries() -> &'static [GrantEntryV1] {
    let entries = GRANT_FRAMES.load(Ordering::Relaxed) * PAGE_SIZE / size_of::<GrantEntryV1>();
    let table = ptr::with_exposed_provenance(GRANT_TABLE.start);
    // SAFETY: so many frames of the table are mapped, for good; all fields are atomic.
    unsafe { slice::from_raw_parts(table, entries) }
}
