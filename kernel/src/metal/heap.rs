// SPDX-License-Identifier: MIT OR Apache-2.0
//! The heap: `linked_list_allocator` on memory set aside at boot.
//!
//! An eighth of the domain's memory, at least 256 KiB and at most 64 MiB. It takes no frames from
//! the pool afterwards, so the count of free frames reflects pages in use and nothing else. A
//! reserve beyond the initial mapping is linked 2 MiB at a time, when an allocation doesn't fit.
//! Map, unmap, send and receive never allocate.
#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr::{self, NonNull};

use drivers::Counters;
use linked_list_allocator::Heap;
use spin::Mutex;

use super::memory::frames::POOL;
use super::memory::{PAGE_SIZE, Pfn, REGION_SIZE, translate};
use crate::hypercall::COUNTERS;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

static RESERVE: Mutex<Reserve> = Mutex::new(Reserve { heap: Heap::empty(), unlinked: 0..0 });

struct Reserve {
    heap: Heap,
    /// Addresses of the reserve with no memory behind them yet.
    unlinked: Range<usize>,
}

/// The heap's size in frames, for a domain of `nr_pages`.
pub fn pages_for(nr_pages: u64) -> u64 {
    const MIN: u64 = (256 << 10) / PAGE_SIZE as u64;
    const MAX: u64 = (64 << 20) / PAGE_SIZE as u64;
    (nr_pages / 8).clamp(MIN, MAX)
}

/// Gives the heap its reserve.
///
/// # Safety
/// The frames are free and don't belong to the pool; their addresses are consecutive.
pub unsafe fn init(reserve: Range<Pfn>) {
    let start = translate::address_of(reserve.start);
    let len = (reserve.end.0 - reserve.start.0) as usize * PAGE_SIZE;
    let mut this = RESERVE.lock();
    if reserve.start < translate::initial_end() {
        let bottom = ptr::with_exposed_provenance_mut(start);
        // SAFETY: mapped by the builder and free, as the caller promises.
        unsafe { this.heap.init(bottom, len) };
    } else {
        this.unlinked = start..start + len;
    }
}

/// Bytes in use and bytes free, linked or not.
pub fn usage() -> (usize, usize) {
    let this = RESERVE.lock();
    (this.heap.used(), this.heap.free() + this.unlinked.len())
}

impl Reserve {
    /// Links the next 2 MiB of the reserve, or what is left of it.
    fn extend(&mut self) -> bool {
        let start = self.unlinked.start;
        let len = self.unlinked.len().min(REGION_SIZE);
        // Nobody allocates while holding the pool's lock, so this can't deadlock.
        if POOL.lock().link_region(translate::frame_at(start)).is_err() {
            return false;
        }
        self.unlinked.start += len;
        if self.heap.size() == 0 {
            let bottom = ptr::with_exposed_provenance_mut(start);
            // SAFETY: just linked, and used by the heap alone.
            unsafe { self.heap.init(bottom, len) };
        } else {
            // SAFETY: just linked, directly after the heap's memory.
            unsafe { self.heap.extend(len) };
        }
        true
    }
}

struct Allocator;

// SAFETY: `linked_list_allocator` hands out each byte once, under the lock.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Counters::add(&COUNTERS.allocations, 1);
        let mut this = RESERVE.lock();
        loop {
            if let Ok(block) = this.heap.allocate_first_fit(layout) {
                return block.as_ptr();
            }
            if this.unlinked.is_empty() || !this.extend() {
                return ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else {
            return;
        };
        // SAFETY: the caller got it from `alloc` with this layout.
        unsafe { RESERVE.lock().heap.deallocate(block, layout) };
    }
}
