// SPDX-License-Identifier: MIT OR Apache-2.0
//! The window's guest-physical addresses, where pages of Xen and of other domains appear.
//!
//! They start above everything in the memory map and end with the processor's address range.
//! Unmapped ones read as ones and ignore stores.

use core::arch::x86_64::__cpuid;
use core::ops::Range;

use spin::Once;

use crate::metal::memory::layout::WINDOW;
use crate::metal::memory::tables::{DATA, entry};
use crate::metal::memory::{Gfn, PAGE_SIZE};

/// A guest-physical address that Xen refuses to map, since it is beyond the reach of its tables.
const REFUSED: u64 = 1 << 51;

static PHYSICAL: Once<Range<u64>> = Once::new();

/// Sets the first guest-physical address.
pub fn init(start: u64) {
    const ADDRESS_SIZES: u32 = 0x8000_0008;
    let known = __cpuid(0x8000_0000).eax >= ADDRESS_SIZES;
    let bits = if known { __cpuid(ADDRESS_SIZES).eax & 0xff } else { 36 };
    PHYSICAL.call_once(|| start..(1 << bits.min(48)).max(start));
}

/// The guest-physical address mapped at `address` in the window.
pub fn physical(address: usize) -> Option<u64> {
    let range = PHYSICAL.get()?;
    let physical = range.start.checked_add(address.checked_sub(WINDOW)? as u64)?;
    range.contains(&physical).then_some(physical)
}

/// The guest frame mapped at `address` in the window.
pub fn frame(address: usize) -> Option<u64> {
    Some(physical(address)? / PAGE_SIZE as u64)
}

/// The page-table entry for `address`, which never changes.
pub fn page_entry(address: usize) -> u64 {
    frame(address).map_or(0, |frame| entry(Gfn(frame), DATA))
}

/// The `host_addr` of a map operation whose page is to appear at `address`.
pub fn host_addr(address: Option<usize>) -> u64 {
    address.and_then(physical).unwrap_or(REFUSED)
}
