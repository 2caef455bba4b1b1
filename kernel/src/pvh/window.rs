// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest-physical addresses behind the window: where pages of Xen's and of others appear.
//!
//! They begin behind all that the memory map names and end where the processor's addresses do. What
//! nobody put there reads as ones and loses what is stored.

use core::arch::x86_64::__cpuid;
use core::ops::Range;

use spin::Once;

use crate::metal::memory::layout::WINDOW;
use crate::metal::memory::tables::{DATA, entry};
use crate::metal::memory::{Gfn, PAGE_SIZE};

/// A guest-physical address that Xen refuses to map anything at: no table of its reaches so far.
const REFUSED: u64 = 1 << 51;

static PHYSICAL: Once<Range<u64>> = Once::new();

/// Begins at guest-physical address `start`.
pub fn init(start: u64) {
    const ADDRESS_SIZES: u32 = 0x8000_0008;
    let known = __cpuid(0x8000_0000).eax >= ADDRESS_SIZES;
    let bits = if known { __cpuid(ADDRESS_SIZES).eax & 0xff } else { 36 };
    PHYSICAL.call_once(|| start..(1 << bits.min(48)).max(start));
}

/// The guest-physical address that is shown at `address` of the window.
pub fn physical(address: usize) -> Option<u64> {
    let range = PHYSICAL.get()?;
    let physical = range.start.checked_add(address.checked_sub(WINDOW)? as u64)?;
    range.contains(&physical).then_some(physical)
}

/// The frame of that address, for a page of Xen's.
pub fn frame(address: usize) -> Option<u64> {
    Some(physical(address)? / PAGE_SIZE as u64)
}

/// What the page-table entry for `address` says, for good.
pub fn page_entry(address: usize) -> u64 {
    frame(address).map_or(0, |frame| entry(Gfn(frame), DATA))
}

/// Where a map operation is to put what appears at `address`.
pub fn host_addr(address: Option<usize>) -> u64 {
    address.and_then(physical).unwrap_or(REFUSED)
}
