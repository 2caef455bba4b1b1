//! Page tables: new ones, and changes to those there are, by hypercall.
//!
//! A frame becomes a table in this order: filled, made read-only at its address, linked. Xen
//! checks the content when it is linked and refuses a table that is mapped writable anywhere
//! (xen/arch/x86/mm.c, get_page_and_type). A table stays one for good: its frame is never
//! granted and never freed.
#![expect(unsafe_code, reason = "a table is filled through its address")]

use core::ops::Range;
use core::ptr;

use drivers::Errno;
use x86_64::structures::paging::PageTableFlags as Flags;
use xen_sys::xen::{MmuUpdate, Uvmf};

use super::layout::DIRECT_MAP;
use super::{Mfn, PAGE_SIZE, Pfn, REGION_SIZE, TABLE_ENTRIES, translate};
use crate::hypercall::mmu;

/// What an upper table's entry for a lower table says. USER: the kernel runs in ring 3.
const TABLE: Flags = Flags::PRESENT
    .union(Flags::WRITABLE)
    .union(Flags::USER_ACCESSIBLE)
    .union(Flags::ACCESSED)
    .union(Flags::DIRTY);

/// Data: writable, never executed. Accessed and dirty, so that the processor need not say so.
pub const DATA: Flags = Flags::PRESENT
    .union(Flags::WRITABLE)
    .union(Flags::NO_EXECUTE)
    .union(Flags::ACCESSED)
    .union(Flags::DIRTY);

/// What is only read.
pub const READ_ONLY: Flags = Flags::PRESENT.union(Flags::NO_EXECUTE).union(Flags::ACCESSED);

/// The page-table entry for frame `mfn`.
pub fn entry(mfn: Mfn, flags: Flags) -> u64 {
    (mfn.0 * PAGE_SIZE as u64) | flags.bits()
}

/// Sets the entry that maps the page at `address`, whose L1 table exists, and forgets the old
/// translation.
///
/// # Errors
/// Xen's: it refuses a frame that isn't this domain's to map that way.
///
/// # Safety
/// The caller owns `address`: no Rust object lives there that loses its memory by this.
pub unsafe fn map(address: usize, mfn: Mfn, flags: Flags) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { mmu::update_va_mapping(address, entry(mfn, flags), Uvmf::INVLPG) }
}

/// Leaves nothing mapped at `address`.
///
/// # Errors
/// Xen's.
///
/// # Safety
/// As for [`map`].
pub unsafe fn unmap(address: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { mmu::update_va_mapping(address, 0, Uvmf::INVLPG) }
}

/// Where frames for tables come from. A frame that it gives is the table's for good: the pool's
/// before, free, and mapped at its address.
pub type Source<'a> = &'a mut dyn FnMut() -> Option<Pfn>;

/// Makes sure that the L1 tables for `range` exist, empty where they are new.
///
/// # Errors
/// ENOMEM if there is no frame for a table. The tables made so far stay.
pub fn ensure(take: Source, range: Range<usize>) -> Result<(), Errno> {
    let first = range.start & !(REGION_SIZE - 1);
    for region in (first..range.end).step_by(REGION_SIZE) {
        if let Some(above) = missing_l1(take, region)? {
            link(above, take().ok_or(Errno::ENOMEM)?, |_| 0)?;
        }
    }
    Ok(())
}

/// Maps `pfn` and the others of its L1 table, 512 frames, at their addresses in the direct map;
/// does nothing if they are mapped.
///
/// # Errors
/// ENOMEM if there is no frame for a table.
pub fn link_region(take: Source, pfn: Pfn) -> Result<(), Errno> {
    let first = pfn.0 & !(TABLE_ENTRIES as u64 - 1);
    let Some(above) = missing_l1(take, DIRECT_MAP + first as usize * PAGE_SIZE)? else {
        return Ok(());
    };
    link(above, take().ok_or(Errno::ENOMEM)?, |index| {
        let mfn = translate::mfn_of(Pfn(first + index as u64));
        mfn.map_or(0, |mfn| entry(mfn, DATA))
    })
}

/// How many tables [`link_region`] will make for `range` of the direct map, where there is none.
pub fn missing(range: Range<usize>) -> u64 {
    let spanned = |shift: u32| ((range.end - 1) >> shift) - (range.start >> shift) + 1;
    (spanned(21) + spanned(30) + spanned(39)) as u64
}

/// Makes sure that the L3 and L2 tables on the way to `address` exist; the machine address of the
/// L2 entry, if there is no L1 table yet.
fn missing_l1(take: Source, address: usize) -> Result<Option<u64>, Errno> {
    for level in [4, 3] {
        let above = translate::entry(address, level).ok_or(Errno::EFAULT)?;
        if !above.is_present() {
            link(above.machine, take().ok_or(Errno::ENOMEM)?, |_| 0)?;
        }
    }
    let above = translate::entry(address, 2).ok_or(Errno::EFAULT)?;
    Ok((!above.is_present()).then_some(above.machine))
}

/// Makes a table of frame `pfn`, with the entries that `fill` tells, and hangs it at machine
/// address `above` of the table one level up. If Xen refused it, for which it has no reason, the
/// frame would be lost.
fn link(above: u64, pfn: Pfn, fill: impl Fn(usize) -> u64) -> Result<(), Errno> {
    let address = translate::address_of(pfn);
    let table = ptr::with_exposed_provenance_mut::<[u64; TABLE_ENTRIES]>(address);
    // SAFETY: the frame was taken from the pool for this and is mapped at its address.
    let table = unsafe { &mut *table };
    for (index, entry) in table.iter_mut().enumerate() {
        *entry = fill(index);
    }
    let mfn = translate::mfn_of(pfn).ok_or(Errno::EFAULT)?;
    // SAFETY: the frame stays where it is and is only read from now on.
    unsafe { map(address, mfn, READ_ONLY) }?;
    // SAFETY: the entry above was empty, so no address loses its memory.
    unsafe { mmu::mmu_update(&mut [MmuUpdate { ptr: above, val: entry(mfn, TABLE) }]) }
}
