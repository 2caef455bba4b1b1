// SPDX-License-Identifier: MIT OR Apache-2.0
//! The main stack: 64 KiB of frames right after the boot stack, between two guard pages.
//!
//! The boot stack's page becomes the lower guard page. A PV guest can't report an overflow into it:
//! Xen pushes the exception frame onto the same stack, fails, and ends the domain. The stack is
//! painted, so that its deepest use can be measured at any time.
#![expect(unsafe_code, reason = "switching stacks is assembly, and the paint is read by address")]

use core::arch::asm;
use core::ops::Range;
use core::ptr;

use drivers::Errno;

use super::{PAGE_SIZE, Pfn, layout, tables, translate};

/// Pages of the stack.
const PAGES: u64 = 16;

/// The content of an unused word of the stack.
const PAINT: u64 = 0x5555_aaaa_5555_aaaa;

/// The frames of [`bounds`] and the upper guard page: the first free ones.
pub fn frames() -> Range<Pfn> {
    let first = layout::used_end();
    first..Pfn(first.0 + PAGES + 1)
}

/// The addresses of the stack.
pub fn bounds() -> Range<usize> {
    let bottom = translate::address_of(layout::used_end());
    bottom..bottom + PAGES as usize * PAGE_SIZE
}

/// Paints the stack and continues in `then` on it, never to return.
///
/// # Safety
/// Call this on the boot stack; its content is lost.
pub unsafe fn switch(then: extern "C" fn() -> !) -> ! {
    let Range { start, end } = bounds();
    // SAFETY: mapped by the builder (at least 512 KiB follow the boot stack), writable and free. The
    // paint ends at the end of the stack; a zero RBP ends backtraces.
    unsafe {
        asm!(
            "rep stosq",
            "mov rsp, rdi",
            "xor ebp, ebp",
            "call {then}",
            "ud2",
            then = in(reg) then,
            in("rdi") start,
            in("rcx") (end - start) / 8,
            in("rax") PAINT,
            options(noreturn),
        )
    }
}

/// Unmaps the guard pages on both sides. Runs on the main stack.
///
/// # Errors
/// Xen's; none is expected, since the pages are ours.
pub fn guard() -> Result<(), Errno> {
    let Range { start, end } = bounds();
    for page in [start - PAGE_SIZE, end] {
        // SAFETY: the boot stack is no longer used, and the other frame was set aside for this.
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
