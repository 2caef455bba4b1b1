// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translates PFNs to addresses and back, and walks the page tables, read-only.
//!
//! Page tables must be mapped like any other frame. Nothing here writes.
#![expect(unsafe_code, reason = "page tables are found by address")]

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use super::layout::{self, DIRECT_MAP, VIRT_BASE};
use super::{Gfn, PAGE_SIZE, Pfn, REGION_SIZE};
use crate::metal::interface::{interface, start};

/// The bits of a page-table entry that hold the GFN.
const ENTRY_FRAME: u64 = 0x000f_ffff_ffff_f000;

/// A page-table entry: its place, and its content when it was read.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry {
    /// Its guest-physical address; under PV its machine address, as `mmu_update` expects.
    pub physical: u64,
    /// Its content.
    pub value: u64,
}

impl TableEntry {
    /// Whether it maps something.
    pub fn is_present(self) -> bool {
        self.value & 1 != 0
    }
}

/// The address of frame `pfn`. In the direct map, valid only once the frame is linked.
#[inline]
pub fn address_of(pfn: Pfn) -> usize {
    address_given(initial_end(), pfn)
}

/// The same, for who looks up many: given [`initial_end`].
#[inline]
pub fn address_given(initial_end: Pfn, pfn: Pfn) -> usize {
    let base = if pfn < initial_end { VIRT_BASE } else { DIRECT_MAP };
    base + pfn.0 as usize * PAGE_SIZE
}

/// The frame that lives at `address`.
#[inline]
pub fn frame_at(address: usize) -> Pfn {
    let base = if address >= VIRT_BASE { VIRT_BASE } else { DIRECT_MAP };
    Pfn(((address - base) / PAGE_SIZE) as u64)
}

/// A page table: where it is, and its physical address as [`TableEntry::physical`] has it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    level: u32,
    address: usize,
    physical: u64,
}

impl Table {
    /// Its entry for `address`, which it must be the table of.
    pub fn entry(self, address: usize) -> TableEntry {
        let offset = (address >> (12 + 9 * (self.level - 1))) & 511;
        let offset = offset * size_of::<u64>();
        let slot = ptr::with_exposed_provenance::<u64>(self.address + offset);
        // SAFETY: one of our page tables, mapped like any frame. Volatile, since the processor sets
        // accessed bits.
        let value = unsafe { slot.read_volatile() };
        TableEntry { physical: self.physical + offset as u64, value }
    }
}

/// The table at `level` (4 is the root, 1 maps pages) for `address`, if it exists.
pub fn table(address: usize, level: u32) -> Option<Table> {
    let mut pfn = start().root;
    let mut at = 4;
    loop {
        let physical = interface().gfn_of(pfn)?.0 * PAGE_SIZE as u64;
        let table = Table { level: at, address: table_address(pfn), physical };
        if at == level {
            return Some(table);
        }
        let entry = table.entry(address);
        if !entry.is_present() {
            return None;
        }
        pfn = interface().pfn_of(Gfn((entry.value & ENTRY_FRAME) / PAGE_SIZE as u64))?;
        at -= 1;
    }
}

/// The entry for `address` in the table at `level`, if that table exists.
pub fn entry(address: usize, level: u32) -> Option<TableEntry> {
    Some(table(address, level)?.entry(address))
}

/// The address of a page table. The builder's tables lie below `used_end`, so finding `initial_end`
/// by a walk doesn't depend on its own result.
pub fn table_address(pfn: Pfn) -> usize {
    if pfn < layout::used_end() { VIRT_BASE + pfn.0 as usize * PAGE_SIZE } else { address_of(pfn) }
}

/// The end of the initial mapping, once determined; 0 before.
static INITIAL_END: AtomicU64 = AtomicU64::new(0);

/// The end of the initial mapping, or of memory, whichever comes first.
#[inline]
pub fn initial_end() -> Pfn {
    match INITIAL_END.load(Ordering::Relaxed) {
        0 => find_initial_end(),
        end => Pfn(end),
    }
}

#[cold]
fn find_initial_end() -> Pfn {
    let used_end = VIRT_BASE + layout::used_end().0 as usize * PAGE_SIZE;
    let mut end = used_end.next_multiple_of(REGION_SIZE);
    while entry(end, 2).is_some_and(TableEntry::is_present) {
        end += REGION_SIZE;
    }
    let end = (((end - VIRT_BASE) / PAGE_SIZE) as u64).min(layout::nr_pages().0);
    INITIAL_END.store(end, Ordering::Relaxed);
    Pfn(end)
}

/// The address of each frame of the domain, by its number; nothing where there is no frame, or none
/// that is mapped now.
pub fn frames(end: Pfn) -> impl Iterator<Item = Option<usize>> {
    (0..end.0).map(|pfn| {
        let address = address_of(Pfn(pfn));
        is_readable(address, PAGE_SIZE).then_some(address)
    })
}

/// Whether `len` bytes at `address` can be read, that is, are mapped by this kernel's own tables,
/// outside Xen's part of the address space.
pub fn is_readable(address: usize, len: usize) -> bool {
    let Some(last) = address.checked_add(len.max(1) - 1) else {
        return false;
    };
    // Nothing is mapped below the non-canonical hole; the 16 slots above it are Xen's.
    if address < DIRECT_MAP {
        return false;
    }
    (address / PAGE_SIZE..=last / PAGE_SIZE)
        .all(|page| entry(page * PAGE_SIZE, 1).is_some_and(TableEntry::is_present))
}
