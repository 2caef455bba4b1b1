// SPDX-License-Identifier: MIT OR Apache-2.0
//! W^X: text is executable and nothing else is, nothing that is executable or constant is writable.
//!
//! The builder maps everything readable, writable and executable. Set here, once: text R-X,
//! read-only data R--, all else RW- (page tables stay R--). For 2 MiB without text one NX bit in
//! their L2 entry does it, which costs Xen as much as changing three L1 entries; the 2 MiB around
//! the text are set page by page. Page zero of the address space was never mapped.
#![expect(unsafe_code, reason = "changes page-table entries")]

use core::ops::Range;

use drivers::Errno;
use x86_64::structures::paging::PageTableFlags as Flags;
use xen_sys::xen::MmuUpdate;

use super::hypercall;
use crate::metal::image;
use crate::metal::memory::{PAGE_SIZE, REGION_SIZE, layout, translate};

/// Entries per hypercall: a few hundred bytes of stack.
const AT_ONCE: usize = 64;

/// Sets the protection of the whole initial mapping.
///
/// # Errors
/// Xen's; it lets a domain give up rights.
pub fn init() -> Result<(), Errno> {
    let text = image::text();
    let end = layout::VIRT_BASE + translate::initial_end().0 as usize * PAGE_SIZE;
    let mut changes = Changes::new();
    for region in (layout::VIRT_BASE..end).step_by(REGION_SIZE) {
        if overlaps(&text, region, REGION_SIZE) {
            for page in (region..end.min(region + REGION_SIZE)).step_by(PAGE_SIZE) {
                changes.change(page, 1, |flags| protection(page, flags))?;
            }
        } else {
            changes.change(region, 2, |flags| flags | Flags::NO_EXECUTE)?;
        }
    }
    changes.flush()?;
    hypercall::flush_tlb()
}

/// What the page at `page` of the initial mapping may do, given what it can do now.
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

/// Changes of page-table entries on their way to Xen.
struct Changes {
    entries: [MmuUpdate; AT_ONCE],
    len: usize,
}

impl Changes {
    fn new() -> Self {
        Self { entries: [MmuUpdate::default(); AT_ONCE], len: 0 }
    }

    /// Changes the flags of the entry at `level` for `address`, if it maps something.
    fn change(
        &mut self,
        address: usize,
        level: u32,
        new: impl Fn(Flags) -> Flags,
    ) -> Result<(), Errno> {
        let Some(entry) = translate::entry(address, level).filter(|entry| entry.is_present())
        else {
            return Ok(());
        };
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
        // SAFETY: each entry keeps its frame and loses only rights that nobody may use.
        unsafe { hypercall::mmu_update(entries) }
    }
}
