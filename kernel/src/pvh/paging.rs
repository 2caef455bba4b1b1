// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page tables: created by `entry.s`, protected here, changed by plain stores.
#![expect(unsafe_code, reason = "page tables are written by address")]

use core::ops::Range;
use core::ptr;

use drivers::Errno;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;
use x86_64::structures::paging::PageTableFlags as Flags;

use super::{boot, rings};
use crate::metal::image;
use crate::metal::memory::frames::POOL;
use crate::metal::memory::layout::{self, VIRT_BASE};
use crate::metal::memory::tables::{DATA, READ_ONLY, TABLE, entry};
use crate::metal::memory::{Gfn, PAGE_SIZE, Pfn, REGION_SIZE, TABLE_ENTRIES, translate};

unsafe extern "C" {
    static pvh_l4: u8;
    static pvh_l2: u8;
}

/// The level 4 table.
pub fn root() -> Pfn {
    translate::frame_at((&raw const pvh_l4).addr())
}

/// Sets the entry of the region numbered `slot` from `VIRT_BASE` on.
///
/// # Safety
/// Must not unmap, or take a needed permission from, memory that Rust objects occupy.
pub unsafe fn set_region(slot: usize, value: u64) {
    // SAFETY: the table has 512 entries; the rest is the caller's promise.
    unsafe { store((&raw const pvh_l2).addr() + slot % TABLE_ENTRIES * 8, value) };
}

/// Writes the page-table entry at `address`.
///
/// # Safety
/// It is one, and the change must not unmap, or take a needed permission from, memory that Rust
/// objects occupy.
unsafe fn store(address: usize, value: u64) {
    let entry = ptr::with_exposed_provenance_mut::<u64>(address);
    // SAFETY: the caller's promise; nobody holds a reference to a table.
    unsafe { entry.write_volatile(value) };
}

/// The address of the page-table entry at guest-physical address `physical`.
fn address_of(physical: u64) -> usize {
    let (frame, offset) = (physical / PAGE_SIZE as u64, physical as usize % PAGE_SIZE);
    translate::table_address(Pfn(frame)) + offset
}

/// Unmaps everything from frame `end` of the initial mapping on, except the rings.
pub fn limit(end: u64) {
    for slot in end as usize / TABLE_ENTRIES..rings::FIRST {
        // SAFETY: nothing lives beyond what the builder loaded.
        unsafe { set_region(slot, 0) };
    }
}

/// Sets the entry for the page at `address`.
///
/// # Errors
/// EFAULT without an L1 table.
///
/// # Safety
/// Must not unmap, or take a needed permission from, memory that Rust objects occupy.
pub unsafe fn set_page(address: usize, value: u64) -> Result<(), Errno> {
    let place = translate::entry(address, 1).ok_or(Errno::EFAULT)?;
    // SAFETY: the entry of this address; the rest is the caller's promise.
    unsafe { store(address_of(place.physical), value) };
    tlb::flush(VirtAddr::new_truncate(address as u64));
    Ok(())
}

/// Links the table in frame `pfn` into the entry at guest-physical address `above`.
///
/// # Safety
/// As for [`Interface::hang_table`](crate::metal::interface::Interface::hang_table).
pub unsafe fn hang_table(above: u64, pfn: Pfn) {
    // SAFETY: an entry of one of our tables; it was empty, so no address loses its memory.
    unsafe { store(address_of(above), entry(Gfn(pfn.0), TABLE)) };
}

/// Sets the permissions of every page of the initial mapping. Around the rings, everything but the
/// rings is unmapped; so is address 0.
///
/// # Errors
/// ENOMEM without frames for the tables.
pub fn protect() -> Result<(), Errno> {
    let end = translate::initial_end().0 as usize;
    let mapped = 0..end.div_ceil(TABLE_ENTRIES);
    for slot in mapped.chain(rings::FIRST..TABLE_ENTRIES) {
        let region = VIRT_BASE + slot * REGION_SIZE;
        let table = POOL.lock().take().ok_or(Errno::ENOMEM)?.pfn;
        for index in 0..TABLE_ENTRIES {
            let page = region + index * PAGE_SIZE;
            // SAFETY: the table's frame belongs to nobody else.
            unsafe { store(translate::address_of(table) + index * 8, page_entry(page)) };
        }
        // SAFETY: what was mapped there still is, and loses only rights that nobody may use.
        unsafe { set_region(slot, entry(Gfn(table.0), TABLE)) };
    }
    // SAFETY: since the entry nothing runs, or is looked at, by low addresses.
    unsafe { store((&raw const pvh_l4).addr(), 0) };
    tlb::flush_all();
    Ok(())
}

/// What the page at `address` behind `VIRT_BASE` may do.
fn page_entry(address: usize) -> u64 {
    let pfn = translate::frame_at(address);
    let within = |range: &Range<usize>| range.start < address + PAGE_SIZE && address < range.end;
    if Some(pfn) == boot::exception_guard() {
        0
    } else if pfn >= layout::nr_pages() {
        rings::page_entry(address)
    } else if within(&image::text()) {
        entry(Gfn(pfn.0), READ_ONLY - Flags::NO_EXECUTE)
    } else if within(&image::rodata()) {
        entry(Gfn(pfn.0), READ_ONLY)
    } else {
        entry(Gfn(pfn.0), DATA)
    }
}
