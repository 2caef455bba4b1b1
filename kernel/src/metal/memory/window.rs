// SPDX-License-Identifier: MIT OR Apache-2.0
//! The window: addresses for pages that other domains and Xen own.
//!
//! Nothing else may use its L4 slots. A reservation is a range of addresses. Its L1 tables are
//! created when it is prepared, and kept for the next reservation there.
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

/// Creates the L1 tables for these addresses of a slot.
///
/// # Errors
/// ENOMEM if there is no frame for a table.
pub fn prepare(addresses: Range<usize>) -> Result<(), Errno> {
    POOL.lock().ensure_tables(addresses)
}

/// Releases addresses from [`reserve`].
pub fn release(address: usize, pages: u32) {
    FREE.lock().release(address..address + pages as usize * PAGE_SIZE);
}

/// Maps shared_info, and creates the page tables for the grant table.
///
/// # Errors
/// ENOMEM without frames for the tables; otherwise Xen's.
pub fn map_shared_info() -> Result<(), Errno> {
    POOL.lock().ensure_tables(SHARED_INFO..GRANT_TABLE.end)?;
    // SAFETY: the address is this page's alone.
    unsafe { interface().map_shared_info(SHARED_INFO) }
}

/// How many frames of the grant table are mapped.
static GRANT_FRAMES: AtomicUsize = AtomicUsize::new(0);

/// Maps frames of the grant table after the `first` ones, which are mapped already.
///
/// # Errors
/// ENOMEM beyond the 510 frames that there is room for; otherwise Xen's.
pub fn map_grant_frames(first: usize, frames: &[u64]) -> Result<(), Errno> {
    for (index, &told) in (first..).zip(frames) {
        let address = GRANT_TABLE.start + index * PAGE_SIZE;
        if !GRANT_TABLE.contains(&address) {
            return Err(Errno::ENOMEM);
        }
        // SAFETY: the address is reserved for the grant table, and not mapped yet.
        unsafe { interface().map_grant_frame(address, index, told) }?;
        GRANT_FRAMES.fetch_max(index + 1, Ordering::Relaxed);
    }
    Ok(())
}

/// The entries in the mapped frames.
#[inline]
pub fn grant_entries() -> &'static [GrantEntryV1] {
    let entries = GRANT_FRAMES.load(Ordering::Relaxed) * PAGE_SIZE / size_of::<GrantEntryV1>();
    let table = ptr::with_exposed_provenance(GRANT_TABLE.start);
    // SAFETY: this many frames of the table are mapped, for ever; all fields are atomic.
    unsafe { slice::from_raw_parts(table, entries) }
}
