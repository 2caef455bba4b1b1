// SPDX-License-Identifier: MIT OR Apache-2.0
//! The main stack: 64 KiB of frames right behind the boot stack, between two guard pages.
//!
//! The page of the boot stack becomes the guard page below. An overflow into it can't be
//! reported by the guest: Xen pushes the exception frame onto the same stack, fails, and ends
//! the domain. The stack is painted, so that the deepest use can be measured at any time.
#![expect(unsafe_code, reason = "switching stacks is assembly, and the paint is read by address")]

use core::arch::asm;
use core::ops::Range;
use core::ptr;

use drivers::Errno;

use super::{PAGE_SIZE, Pfn, layout, tables, translate};

/// Pages of the stack.
const PAGES: u64 = 16;

/// What an unused word of the stack holds.
const PAINT: u64 = 0x5555_aaaa_5555_aaaa;

/// The frames that [`bounds`] and the guard page above take: the first ones that are free.
pub fn frames() -> Range<Pfn> {
    let first = layout::used_end();
    first..Pfn(first.0 + PAGES + 1)
}

/// The addresses of the stack.
pub fn bounds() -> Range<usize> {
    let bottom = translate::address_of(layout::used_end());
    bottom..bottom + PAGES as usize * PAGE_SIZE
}

/// Paints the stack and goes on in `then` on it, for good.
///
/// # Safety
/// Runs on the boot stack, whose content is lost.
pub unsafe fn switch(then: extern "C" fn() -> !) -> ! {
    let Range { start, end } = bounds();
    for word in (start..end).step_by(8) {
        // SAFETY: mapped by the builder (512 KiB at least are behind the boot stack) and free.
        unsafe { ptr::with_exposed_provenance_mut::<u64>(word).write(PAINT) };
    }
    // SAFETY: `end` is the end of writable memory of nobody's; a zero RBP ends backtraces.
    unsafe {
        asm!(
            "mov rsp, {end}",
            "xor ebp, ebp",
            "call {then}",
            "ud2",
            end = in(reg) end,
            then = in(reg) then,
            options(noreturn),
        )
    }
}

/// Unmaps the guard pages on both sides. Runs on the main stack.
///
/// # Errors
/// Xen's; it unmaps any page of ours.
pub fn guard() -> Result<(), Errno> {
    let Range { start, end } = bounds();
    for page in [start - PAGE_SIZE, end] {
        // SAFETY: the boot stack, which was left, and a free frame set aside for this.
        unsafe { tables::unmap(page) }?;
    }
    Ok(())
}

/// The deepest use of the stack so far, in bytes.
pub fn high_water() -> usize {
    let Range { start, end } = bounds();
    let deepest = (start..end).step_by(8).find(|&word| {
        // SAFETY: `word` lies in the stack. Volatile: a frame being written may lie there.
        let value = unsafe { ptr::with_exposed_provenance::<u64>(word).read_volatile() };
        value != PAINT
    });
    end - deepest.unwrap_or(end)
}
