//! From PFN to MFN to address and back, and a read-only walk of the page tables.
//!
//! Relies on the P2M of start_info, Xen's M2P, and on page tables being mapped (read-only) like
//! any other frame. Nothing here changes anything.
#![expect(unsafe_code, reason = "the P2M, the M2P and page tables are found by address")]

use core::ptr;

use spin::Once;

use super::layout::{self, DIRECT_MAP, VIRT_BASE};
use super::{Mfn, PAGE_SIZE, Pfn, REGION_SIZE};

/// Xen's table from MFN to PFN: `MACH2PHYS_VIRT_START` of xen/include/public/arch-x86/xen-x86_64.h.
const M2P: *const u64 = ptr::without_provenance(0xffff_8000_0000_0000);

/// The bits of a page-table entry that hold the MFN.
const ENTRY_FRAME: u64 = 0x000f_ffff_ffff_f000;

/// A page-table entry: where it is in the machine, and what it held when it was read.
#[derive(Clone, Copy, Debug)]
pub struct TableEntry {
    /// The machine address of the entry, as `mmu_update` and grant operations want it.
    pub machine: u64,
    /// Its content.
    pub value: u64,
}

impl TableEntry {
    /// Whether it maps something.
    pub fn is_present(self) -> bool {
        self.value & 1 != 0
    }
}

/// The machine frame behind `pfn`, unless the domain has a hole there.
pub fn mfn_of(pfn: Pfn) -> Option<Mfn> {
    if pfn >= layout::nr_pages() {
        return None;
    }
    let list = ptr::with_exposed_provenance::<u64>(layout::start_info().mfn_list as usize);
    let entry = list.wrapping_add(pfn.0 as usize);
    // SAFETY: the P2M has nr_pages entries and is never handed out or changed.
    let mfn = unsafe { entry.read() };
    (mfn != u64::MAX).then_some(Mfn(mfn))
}

/// The frame of this domain that `mfn` is; nothing for a frame that isn't ours.
pub fn pfn_of(mfn: Mfn) -> Option<Pfn> {
    let entry = M2P.wrapping_add(mfn.0 as usize);
    // SAFETY: `mfn` comes from the P2M, a page-table entry or start_info, so the machine has it
    // and Xen's table, which it may be changing, covers it.
    let pfn = Pfn(unsafe { entry.read_volatile() });
    (mfn_of(pfn) == Some(mfn)).then_some(pfn)
}

/// The address of frame `pfn`, for one in the direct map only once it is linked.
pub fn address_of(pfn: Pfn) -> usize {
    let base = if pfn < initial_end() { VIRT_BASE } else { DIRECT_MAP };
    base + pfn.0 as usize * PAGE_SIZE
}

/// The address of the initial mapping that shows frame `mfn`: for what the builder placed.
pub fn builders_page(mfn: Mfn) -> Option<usize> {
    let pfn = pfn_of(mfn)?;
    (pfn < layout::used_end()).then(|| VIRT_BASE + pfn.0 as usize * PAGE_SIZE)
}

/// The frame that lives at `address`.
pub fn frame_at(address: usize) -> Pfn {
    let base = if address >= VIRT_BASE { VIRT_BASE } else { DIRECT_MAP };
    Pfn(((address - base) / PAGE_SIZE) as u64)
}

/// The entry of the table at `level` (4 is the root, 1 maps pages) on the way to `address`;
/// nothing if there is no such table.
pub fn entry(address: usize, level: u32) -> Option<TableEntry> {
    let mut table = layout::start_info().pt_base as usize;
    let mut pfn = Pfn(((table - VIRT_BASE) / PAGE_SIZE) as u64);
    for at in (level..=4).rev() {
        let index = (address >> (12 + 9 * (at - 1))) & 511;
        let slot = ptr::with_exposed_provenance::<u64>(table + index * 8);
        // SAFETY: `table` is a page table of ours, mapped where frames are; Xen sets accessed
        // bits behind our back.
        let value = unsafe { slot.read_volatile() };
        let machine = mfn_of(pfn)?.0 * PAGE_SIZE as u64 + index as u64 * 8;
        let entry = TableEntry { machine, value };
        if at == level {
            return Some(entry);
        }
        if !entry.is_present() {
            return None;
        }
        pfn = pfn_of(Mfn((value & ENTRY_FRAME) / PAGE_SIZE as u64))?;
        table = table_address(pfn);
    }
    None
}

/// Where a page table is mapped. Tables of the builder's lie below `used_end`, so that finding
/// `initial_end` by a walk does not depend on itself.
fn table_address(pfn: Pfn) -> usize {
    if pfn < layout::used_end() { VIRT_BASE + pfn.0 as usize * PAGE_SIZE } else { address_of(pfn) }
}

/// The end of the initial mapping, or of memory, whichever comes first.
pub fn initial_end() -> Pfn {
    static END: Once<Pfn> = Once::new();
    *END.call_once(|| {
        let used_end = VIRT_BASE + layout::used_end().0 as usize * PAGE_SIZE;
        let mut end = used_end.next_multiple_of(REGION_SIZE);
        while entry(end, 2).is_some_and(TableEntry::is_present) {
            end += REGION_SIZE;
        }
        Pfn((((end - VIRT_BASE) / PAGE_SIZE) as u64).min(layout::nr_pages().0))
    })
}

/// Whether `len` bytes at `address` can be read: mapped by this kernel's own tables, outside
/// Xen's part of the address space.
pub fn is_readable(address: usize, len: usize) -> bool {
    let Some(last) = address.checked_add(len.max(1) - 1) else {
        return false;
    };
    // Below the hole of non-canonical addresses nothing is mapped; the 16 slots behind it are
    // Xen's.
    if address < DIRECT_MAP {
        return false;
    }
    (address / PAGE_SIZE..=last / PAGE_SIZE)
        .all(|page| entry(page * PAGE_SIZE, 1).is_some_and(TableEntry::is_present))
}
