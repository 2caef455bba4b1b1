// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instructions that may fault, and where to resume if they do.
//!
//! The linker collects the pairs that `memory/access.rs` puts into the section `.fixups`.
#![expect(unsafe_code, reason = "the table is found by the linker's symbols")]

use core::{ptr, slice};

use crate::metal::image;

/// Where to resume after a fault at `rip`.
pub fn find(rip: u64) -> Option<u64> {
    let bounds = image::fixups();
    let table = ptr::with_exposed_provenance::<[u64; 2]>(bounds.start);
    // SAFETY: the linker's bounds: whole pairs, aligned to 8, constant.
    let table = unsafe { slice::from_raw_parts(table, bounds.len() / 16) };
    table.iter().find(|pair| pair[0] == rip).map(|pair| pair[1])
}
