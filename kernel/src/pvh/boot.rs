// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the 32-bit entry point to the boot code common to both modes.
//!
//! The state at entry (docs/misc/pvh.pandoc in Xen's source): flat 32-bit segments, paging and
//! interrupts off, .bss zero, EBX the guest-physical address of hvm_start_info.
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

/// Frames after what the builder loaded: a guard page and the exception stack. Another guard page
/// follows, where PV has the boot stack, and then the main stack.
const EXCEPTION_STACK: u64 = 3;

/// Minimum number of frames that the initial mapping has after the stacks, as under PV.
const SPARE: u64 = 128;

/// The unit of memory in xl, 1 MiB. Xen counts a few more pages, which belong to the toolstack.
const UNIT: u64 = 256;

/// Pages returned per hypercall.
const BATCH: usize = 64;

/// The end of what could be this domain's memory.
static ROOM: Once<Pfn> = Once::new();

/// The first frame that can't be this domain's memory.
pub fn room() -> Pfn {
    ROOM.get().copied().unwrap_or(Pfn(0))
}

/// The number of frames that the domain really has, of the `map` frames in its memory map. If
/// maxmem is above memory, the map is as large as maxmem, and Xen ends a guest that touches more
/// than memory (populate on demand, xen/arch/x86/mm/p2m-pod.c). So the rest is returned, untouched.
///
/// # Errors
/// Xen's; ENOMEM if it takes back less.
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

/// The end of what the builder loaded.
static PLACED: Once<Pfn> = Once::new();

/// The guard page below the exception stack.
pub fn exception_guard() -> Option<Pfn> {
    PLACED.get().copied()
}

/// The end of the exception stack.
pub fn exception_stack_end() -> usize {
    let Pfn(placed) = PLACED.get().copied().unwrap_or(Pfn(0));
    VIRT_BASE + (placed + EXCEPTION_STACK) as usize * PAGE_SIZE
}

/// The command line at these guest-physical addresses.
fn command_line(at: Range<u64>) -> &'static [u8] {
    let start = ptr::with_exposed_provenance(VIRT_BASE + at.start as usize);
    // SAFETY: in the initial mapping, before `used_end`: never handed out or written.
    unsafe { slice::from_raw_parts(start, (at.end - at.start) as usize) }
}

/// The first Rust code to run. Everything below 1 GiB is mapped both at `VIRT_BASE` and at address
/// 0, writable and executable.
extern "C" fn on_boot_stack(start_info: u32) -> ! {
    choose(&Pvh, hypercall::instruction());
    must("console", rings::init());
    let read = |at: u64, bytes: &mut [u8]| {
        // SAFETY: mapped, as `look` ensures; any content is valid as bytes.
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
