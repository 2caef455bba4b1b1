// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address space: the builder's layout, and what this kernel adds to it.
//!
//! PFN 0 is at `VIRT_BASE`. First come the image and its symbol table, then what the builder added
//! (`pv/start_info.rs`, `pvh/boot.rs`). All of that stays; memory is free from its end,
//! [`used_end`]. The page tables tell where the initial mapping ends (`translate.rs`).

use core::ops::Range;

use super::{PAGE_SIZE, Pfn, REGION_SIZE};
use crate::metal::interface::start;

/// The address of PFN 0: BASE of `grantkit.ld`.
pub const VIRT_BASE: usize = 0xffff_ffff_8000_0000;

/// The address that PFN 0 would have in the direct map: L4 slot 273, after Xen's 16.
pub const DIRECT_MAP: usize = 0xffff_8880_0000_0000;

/// L4 slots 288 to 319. The first 2 MiB hold shared_info and the grant table, the rest is for
/// mappings.
pub const WINDOW: usize = 0xffff_9000_0000_0000;

/// Where Xen's shared_info page is mapped.
pub const SHARED_INFO: usize = WINDOW;

/// Where the frames of the grant table are mapped, one after the other: room for 510, or 261,120
/// grants. The page between it and shared_info stays empty.
pub const GRANT_TABLE: Range<usize> = WINDOW + 2 * PAGE_SIZE..WINDOW + REGION_SIZE;

/// Addresses for mappings of other domains' pages: 16 TiB, for 65,000 devices by plain index.
pub const MAPPINGS: Range<usize> = WINDOW + REGION_SIZE..WINDOW + (16 << 40);

/// The command line as the toolstack passed it.
pub fn command_line() -> &'static [u8] {
    start().command_line
}

/// The number of frames the domain has.
pub fn nr_pages() -> Pfn {
    start().nr_pages
}

/// The end of what the builder loaded: the end of the boot stack.
pub fn used_end() -> Pfn {
    start().used_end
}
