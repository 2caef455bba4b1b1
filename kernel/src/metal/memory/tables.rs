// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables: creating and changing them.
//!
//! A page-table frame stays one for ever: it is never granted or freed. This file decides what goes
//! into a table; the mode decides how it gets there.
#![expect(unsafe_code, reason = "a table is filled through its address")]

use core::ops::Range;
use core::ptr;

use drivers::Errno;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::layout::DIRECT_MAP;
use super::{Gfn, PAGE_SIZE, Pfn, REGION_SIZE, TABLE_ENTRIES, translate};
use crate::metal::interface::interface;

/// Flags of an upper table's entry for a lower one. USER because a PV kernel runs in ring 3.
pub const TABLE: Flags = Flags::PRESENT
    .union(Flags::WRITABLE)
    .union(Flags::USER_ACCESSIBLE)
    .union(Flags::ACCESSED)
    .union(Flags::DIRTY);

/// Data: writable, never executed. Accessed and dirty are set in advance, to save the processor
/// from setting them.
pub const DATA: Flags = Flags::PRESENT
    .union(Flags::WRITABLE)
    .union(Flags::NO_EXECUTE)
    .union(Flags::ACCESSED)
    .union(Flags::DIRTY);

/// Read-only data.
pub const READ_ONLY: Flags = Flags::PRESENT.union(Flags::NO_EXECUTE).union(Flags::ACCESSED);

/// The page-table entry for frame `gfn`.
pub fn entry(gfn: Gfn, flags: Flags) -> u64 {
    (gfn.0 * PAGE_SIZE as u64) | flags.bits()
}

/// Unmaps `address`.
///
/// # Errors
/// Xen's.
///
/// # Safety
/// No Rust object lives at `address`.
pub unsafe fn unmap(address: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { interface().set_page(address, 0) }
}

/// The source of frames for tables. Each comes from the pool, is free and mapped at its address,
/// and belongs to the table for ever.
pub type Source<'a> = &'a mut dyn FnMut() -> Option<Pfn>;

/// Ensures that the L1 tables for `range` of the window exist, filled as the mode requires where
/// they are new.
///
/// # Errors
/// ENOMEM if there is no frame for a table. The tables made so far stay.
pub fn ensure(take: Source, range: Range<usize>) -> Result<(), Errno> {
    let first = range.start & !(REGION_SIZE - 1);
    for region in (first..range.end).step_by(REGION_SIZE) {
        if let Some(above) = missing_l1(take, region)? {
            let entry = |index| interface().window_entry(region + index * PAGE_SIZE);
            link(above, take().ok_or(Errno::ENOMEM)?, entry)?;
        }
    }
    Ok(())
}

/// Maps `pfn` and the rest of its L1 table, 512 frames, at their addresses in the direct map; does
/// nothing if they are mapped already.
///
/// # Errors
/// ENOMEM if there is no frame for a table.
pub fn link_region(take: Source, pfn: Pfn) -> Result<(), Errno> {
    let first = pfn.0 & !(TABLE_ENTRIES as u64 - 1);
    let Some(above) = missing_l1(take, DIRECT_MAP + first as usize * PAGE_SIZE)? else {
        return Ok(());
    };
    link(above, take().ok_or(Errno::ENOMEM)?, |index| {
        let gfn = interface().gfn_of(Pfn(first + index as u64));
        gfn.map_or(0, |gfn| entry(gfn, DATA))
    })
}

/// How many tables [`link_region`] will create for `range` of the direct map, if there are none
/// yet.
pub fn missing(range: Range<usize>) -> u64 {
    let spanned = |shift: u32| ((range.end - 1) >> shift) - (range.start >> shift) + 1;
    (spanned(21) + spanned(30) + spanned(39)) as u64
}

/// Ensures that the L3 and L2 tables on the way to `address` exist. Returns the address of the L2
/// entry if there is no L1 table yet.
fn missing_l1(take: Source, address: usize) -> Result<Option<u64>, Errno> {
    for level in [4, 3] {
        let above = translate::entry(address, level).ok_or(Errno::EFAULT)?;
        if !above.is_present() {
            link(above.physical, take().ok_or(Errno::ENOMEM)?, |_| 0)?;
        }
    }
    let above = translate::entry(address, 2).ok_or(Errno::EFAULT)?;
    Ok((!above.is_present()).then_some(above.physical))
}

/// Makes frame `pfn` a table, with entries from `fill`, and links it at `above` in the table one
/// level up. If Xen refused it, for which there is no known reason, the frame would be lost.
fn link(above: u64, pfn: Pfn, fill: impl Fn(usize) -> u64) -> Result<(), Errno> {
    let address = translate::address_of(pfn);
    let table = ptr::with_exposed_provenance_mut::<[u64; TABLE_ENTRIES]>(address);
    // SAFETY: the frame was taken from the pool for this and is mapped at its address.
    let table = unsafe { &mut *table };
    for (index, entry) in table.iter_mut().enumerate() {
        *entry = fill(index);
    }
    // SAFETY: the frame belongs to this table alone, and was just filled.
    unsafe { interface().hang_table(above, pfn, address) }
}
