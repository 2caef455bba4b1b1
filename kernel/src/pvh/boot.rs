// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the 32-bit entry to the boot that both modes share.
//!
//! Relies on the state at entry (docs/misc/pvh.pandoc in Xen's source): flat 32-bit segments, paging
//! and interrupts off, .bss zero, EBX the guest-physical address of hvm_start_info.
#![expect(unsafe_code, reason = "the entry point is assembly, and start_info is found by address")]

use core::arch::global_asm;
use core::ops::Range;
use core::{ptr, slice};

use drivers::memory::PAGE_SIZE;
use drivers::{Errno, Hypervisor};
use spin::Once;

use super::interface::Pvh;
use super::{hypercall, paging, rings, start_info, window};
use crate::Xen;
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

/// What xl counts memory in, 1 MiB. Xen counts a few pages more, which are the toolstack's.
const UNIT: u64 = 256;

/// Pages that are given back by one hypercall.
const BATCH: usize = 64;

/// The end of what could be memory of this domain's.
static ROOM: Once<Pfn> = Once::new();

/// Frames from here on can't be this domain's memory.
pub fn room() -> Pfn {
    ROOM.get().copied().unwrap_or(Pfn(0))
}

/// The frames that the domain has of the `map` that it is told of. With maxmem above memory the map
/// is as large as maxmem, and Xen ends a guest that touches more of it than memory (populate on
/// demand, xen/arch/x86/mm/p2m-pod.c): so the rest is given back, untouched.
///
/// # Errors
/// Xen's; ENOMEM if it takes less.
fn populated(map: u64) -> Result<u64, Errno> {
    let have = hypercall::current_reservation()? / UNIT * UNIT;
    if have + UNIT > map {
        return Ok(map);
    }
    for first in (have..map).step_by(BATCH) {
        let (mut gfns, mut count) = ([0; BATCH], 0);
        for (place, gfn) in gfns.iter_mut().zip(first..map) {
            *place = gfn;
            count += 1;
        }
        // SAFETY: nothing was ever put there.
        let gone = unsafe { Xen::HERE.decrease_reservation(gfns.get(..count).unwrap_or_default()) };
        if gone? < count {
            return Err(Errno::ENOMEM);
        }
    }
    Ok(have)
}

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
    ROOM.call_once(|| Pfn(frames(seen.room)));
    let nr_pages = must("memory", populated(frames(seen.ram)));
    let placed = frames(seen.used_end);
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
