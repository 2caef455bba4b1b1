// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console and xenstore rings, which lie above all memory.
//!
//! Both are needed from the first line of output, before there are frames for page tables. So each
//! has an entry in the level 2 table, which maps the 2 MiB around its page until [`protect`] leaves
//! only the page itself, at the same address.
#![expect(unsafe_code, reason = "maps the rings")]

use drivers::Errno;
use spin::Once;
use x86_64::structures::paging::PageTableFlags as Flags;
use xen_sys::hvm::params::HvmParam;

use super::{hypercall, paging, params};
use crate::metal::interface::Ring;
use crate::metal::memory::layout::VIRT_BASE;
use crate::metal::memory::tables::{DATA, entry};
use crate::metal::memory::{Gfn, PAGE_SIZE, REGION_SIZE, TABLE_ENTRIES};

/// Their entries in the level 2 table: the last two.
pub const FIRST: usize = TABLE_ENTRIES - 2;

/// A ring, and its frame.
#[derive(Clone, Copy, Debug)]
struct Found {
    ring: Ring,
    gfn: Gfn,
}

static CONSOLE: Once<Found> = Once::new();
static XENSTORE: Once<Found> = Once::new();

/// Finds both, and maps them.
///
/// # Errors
/// ENODEV if there is no console; Xen's if it doesn't know the parameters.
pub fn init() -> Result<(), Errno> {
    let console = find(FIRST, HvmParam::CONSOLE_PFN, HvmParam::CONSOLE_EVTCHN)?;
    CONSOLE.call_once(|| console);
    // Without it the boot stops later, when it gets to xenstore.
    if let Ok(xenstore) = find(FIRST + 1, HvmParam::STORE_PFN, HvmParam::STORE_EVTCHN) {
        XENSTORE.call_once(|| xenstore);
    }
    Ok(())
}

fn find(slot: usize, frame: HvmParam, port: HvmParam) -> Result<Found, Errno> {
    let (pfn, port) = params::ring(hypercall::param(frame), hypercall::param(port))?;
    let around = Gfn(pfn & !(TABLE_ENTRIES as u64 - 1));
    // SAFETY: nothing lives yet at the addresses of this entry.
    unsafe { paging::set_region(slot, entry(around, DATA | Flags::HUGE_PAGE)) };
    let page = VIRT_BASE + slot * REGION_SIZE + (pfn - around.0) as usize * PAGE_SIZE;
    Ok(Found { ring: Ring { page, port }, gfn: Gfn(pfn) })
}

/// The final page-table entry for `address`.
pub fn page_entry(address: usize) -> u64 {
    let found = [&CONSOLE, &XENSTORE].into_iter().filter_map(Once::get);
    let mut here = found.filter(|found| found.ring.page == address);
    here.next().map_or(0, |found| entry(found.gfn, DATA))
}

/// The console ring.
pub fn console() -> Option<Ring> {
    CONSOLE.get().map(|found| found.ring)
}

/// The xenstore ring.
pub fn xenstore() -> Option<Ring> {
    XENSTORE.get().map(|found| found.ring)
}
