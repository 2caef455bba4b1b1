// SPDX-License-Identifier: MIT OR Apache-2.0
//! W^X: only text is executable, and neither text nor read-only data is writable.
//!
//! The builder maps everything readable, writable and executable. This sets, once: text R-X,
//! read-only data R--, everything else RW- (page tables stay R--). A 2 MiB region without text
//! needs only the NX bit in its L2 entry, which costs Xen as much as changing three L1 entries;
//! regions with text are set page by page. Page zero of the address space is never mapped.
#![expect(unsafe_code, reason = "changes page-table entries")]

use core::ops::Range;

use drivers::Errno;
use x86_64::structures::paging::PageTableFlags as Flags;
use xen_sys::xen::MmuUpdate;

use super::hypercall;
use crate::metal::image;
use crate::metal::memory::translate::{self, TableEntry};
use crate::metal::memory::{PAGE_SIZE, REGION_SIZE, layout};

/// Entries per hypercall; they take 1 KiB of stack.
const AT_ONCE: usize = 64;

/// Sets the protection of the whole initial mapping.
///
/// # Errors
/// Xen's; none is expected, since a domain may give up permissions.
pub fn init() -> Result<(), Errno> {
    let text = image::text();
    let end = layout::VIRT_BASE + translate::initial_end().0 as usize * PAGE_SIZE;
    let mut changes = Changes::new();
    for region in (layout::VIRT_BASE..end).step_by(REGION_SIZE) {
        if overlaps(&text, region, REGION_SIZE) {
            // One walk for all its pages.
            let Some(table) = translate::table(region, 1) else { continue };
            for page in (region..end.min(region + REGION_SIZE)).step_by(PAGE_SIZE) {
                changes.change(table.entry(page), |flags| protection(page, flags))?;
            }
        } else if let Some(entry) = translate::entry(region, 2) {
            changes.change(entry, |flags| flags | Flags::NO_EXECUTE)?;
        }
    }
    changes.flush()?;
    hypercall::flush_tlb()
}

/// The permissions for `page` of the initial mapping, given its present ones.
fn protection(page: usize, now: Flags) -> Flags {
    if overlaps(&image::text(), page, PAGE_SIZE) {
        now - Flags::WRITABLE
    } else if overlaps(&image::rodata(), page, PAGE_SIZE) {
        (now - Flags::WRITABLE) | Flags::NO_EXECUTE
    } else {
        now | Flags::NO_EXECUTE
    }
}

fn overlaps(range: &Range<usize>, address: usize, len: usize) -> bool {
    range.start < address + len && address < range.end
}

/// Queued changes to page-table entries.
struct Changes {
    entries: [MmuUpdate; AT_ONCE],
    len: usize,
}

impl Changes {
    fn new() -> Self {
        Self { entries: [MmuUpdate::default(); AT_ONCE], len: 0 }
    }

    /// Changes the flags of an entry, if it is present.
    fn change(&mut self, entry: TableEntry, new: impl Fn(Flags) -> Flags) -> Result<(), Errno> {
        if !entry.is_present() {
            return Ok(());
        }
        let flags = Flags::from_bits_truncate(entry.value);
        let val = (entry.value & !flags.bits()) | new(flags).bits();
        if val == entry.value {
            return Ok(());
        }
        if self.len == AT_ONCE {
            self.flush()?;
        }
        if let Some(place) = self.entries.get_mut(self.len) {
            *place = MmuUpdate { ptr: entry.physical, val };
            self.len += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Errno> {
        let entries = self.entries.get_mut(..self.len).unwrap_or_default();
        self.len = 0;
        // SAFETY: each entry keeps its frame, and loses only permissions that nobody may use.
        unsafe { hypercall::mmu_update(entries) }
    }
}
