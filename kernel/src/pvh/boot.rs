//! From the 32-bit entry to the boot that both modes share.
//!
//! Relies on the state at entry (docs/misc/pvh.pandoc in Xen's source): flat 32-bit segments, paging
//! and interrupts off, .bss zero, EBX the guest-physical address of hvm_start_info.
#![expect(unsafe_code, reason = "the entry point is assembly, and start_info is found by address")]

use core::arch::global_asm;
use core::ops::Range;
use core::{ptr, slice};

use drivers::memory::PAGE_SIZE;
use spin::Once;

use super::interface::Pvh;
use super::{hypercall, paging, rings, start_info, window};
use crate::metal::boot::{go_on, must};
use crate::metal::image;
use crate::metal::interface::{Start, choose, found};
use crate::metal::memory::layout::VIRT_BASE;
use crate::metal::memory::{Pfn, REGION_SIZE, access};

global_asm!(include_str!("entry.s"), first = sym on_boot_stack, options(att_syntax));

/// Frames behind what the builder placed: a guard page and the stack for exceptions. Another guard
/// page follows, as the boot stack does under PV, and then the main stack.
const EXCEPTION_STACK: u64 = 3;

/// Frames that the initial mapping has behind the stacks, at least: as many as under PV.
const SPARE: u64 = 128;

/// The end of what the builder placed.
static PLACED: Once<Pfn> = Once::new();

/// The guard page below the stack for exceptions.
pub fn exception_guard() -> Option<Pfn> {
    PLACED.get().copied()
}

/// The end of the stack for exceptions.
pub fn exception_stack_end() -> usize {
    let Pfn(placed) = PLACED.get().copied().unwrap_or(Pfn(0));
    VIRT_BASE + (placed + EXCEPTION_STACK) as usize * PAGE_SIZE
}

/// The command line, which lies at these guest-physical addresses.
fn command_line(at: Range<u64>) -> &'static [u8] {
    let start = ptr::with_exposed_provenance(VIRT_BASE + at.start as usize);
    // SAFETY: in the initial mapping, before `used_end`: never handed out and written by nobody.
    unsafe { slice::from_raw_parts(start, (at.end - at.start) as usize) }
}

/// The first Rust code: everything below 1 GiB is at `VIRT_BASE` as at address 0, and may be
/// written and executed.
extern "C" fn on_boot_stack(start_info: u32) -> ! {
    choose(&Pvh, hypercall::instruction());
    must("console", rings::init());
    let read = |at: u64, bytes: &mut [u8]| {
        // SAFETY: mapped, as `look` takes care; whatever is there, it's bytes.
        unsafe {
            access::copy(
                bytes.as_mut_ptr().expose_provenance(),
                VIRT_BASE + at as usize,
                bytes.len(),
            )
        };
    };
    let image_end = (image::data().end - VIRT_BASE) as u64;
    let seen = must("start_info", start_info::look(read, start_info.into(), image_end));
    window::init(seen.beyond);
    let frames = |bytes: u64| bytes.div_ceil(PAGE_SIZE as u64);
    let (nr_pages, placed) = (frames(seen.ram), frames(seen.used_end));
    PLACED.call_once(|| Pfn(placed));
    let used_end = placed + EXCEPTION_STACK + 1;
    let end = (used_end + SPARE).next_multiple_of((REGION_SIZE / PAGE_SIZE) as u64);
    paging::limit(end);
    found(Start {
        nr_pages: Pfn(nr_pages),
        used_end: Pfn(used_end),
        root: paging::root(),
        command_line: command_line(seen.command_line),
    });
    go_on()
}
