// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the mode's entry to the first task.
#![expect(unsafe_code, reason = "hands over the memory that the builder left free")]

mod notes;

use core::fmt::Display;

use super::interface::interface;
use super::memory::frames::POOL;
use super::memory::{Pfn, frames, layout, stack, translate};
use super::{clock, heap, logger, shared_info, start};
use crate::{power, println};

/// Frames that must be left for the guest; with fewer, the boot stops.
const MIN_FREE: u64 = 16;

/// Continues from the mode's entry point, on the boot stack.
pub fn go_on() -> ! {
    if translate::initial_end() < stack::frames().end {
        out_of_memory();
    }
    // SAFETY: this is the boot stack, and nothing on it is needed any more.
    unsafe { stack::switch(on_main_stack) }
}

/// The boot as a list; each line relies on those above it.
extern "C" fn on_main_stack() -> ! {
    memory(); // free frames to the pool and the heap
    must("memory protection", interface().protect()); // W^X
    must("guard pages", stack::guard()); // nothing mapped on both sides of the stack
    let shared_info = must("shared_info", shared_info::init()); // pending events, the time
    must("traps", interface().set_traps()); // exceptions, events
    must("clock", clock::init()); // the ticking stops
    logger::init(); // log lines to the console
    start::run(shared_info) // the services, the executor, the application
}

/// The result of a boot step. If the step failed, says which one and stops.
pub fn must<T>(who: &str, made: Result<T, impl Display>) -> T {
    made.unwrap_or_else(|error| {
        println!("grantkit: {who}: {error}");
        power::poweroff()
    })
}

/// Hands out the memory that the builder left free.
fn memory() {
    let spare = stack::frames().end..translate::initial_end();
    let reserve = frames::set_aside(heap::pages_for(layout::nr_pages().0), &spare);
    let beyond = translate::initial_end()..layout::nr_pages();
    let (mapped, unlinked) = if reserve.start < translate::initial_end() {
        (spare.start..reserve.start, beyond)
    } else {
        (spare, reserve.end..beyond.end)
    };
    // SAFETY: nothing lives beyond the boot stack and the main stack, and the reserve is left out.
    unsafe { POOL.lock().init(mapped, unlinked) };
    // SAFETY: nobody else uses the reserve.
    unsafe { heap::init(reserve) };
    if POOL.lock().free() < MIN_FREE {
        out_of_memory();
    }
}

/// Prints one line and stops.
fn out_of_memory() -> ! {
    let Pfn(pages) = layout::nr_pages();
    println!("grantkit: {} KiB of memory are too little to start", pages * 4);
    power::poweroff()
}
