//! The hot paths ask the heap for nothing: map, unmap, send, receive, read, write, end.
#![expect(unsafe_code, reason = "a counting allocator is an unsafe trait")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;

use common::{ALICE, BOB, domid, offer, pair};
use drivers::Access;
use drivers::gntdev::ReadWrite;
use drivers::shared::{Shared, SharedMut};

thread_local! {
    static COUNTED: Cell<Option<u32>> = const { Cell::new(None) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !drivers::fake::is_inside() {
            COUNTED.with(|counted| counted.set(counted.get().map(|n| n + 1)));
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread asked the heap while `run` ran.
fn allocations(run: impl FnOnce()) -> u32 {
    COUNTED.with(|counted| counted.set(Some(0)));
    run();
    COUNTED.with(|counted| counted.take()).unwrap_or(0)
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn map_unmap_read_write_send_receive_and_end_allocate_nothing() {
    let pair = pair();
    let export =
        pair.alice.gntalloc.open().unwrap().alloc(domid(BOB), 100, Access::ReadWrite).unwrap();
    let mut export = Some(export);
    let grants = offer(ALICE, export.as_ref().unwrap());
    let mut reservation = Some(pair.bob.gntdev.open().unwrap().insert(&grants).unwrap());
    let alice = pair.alice.events.alloc_unbound(domid(BOB)).unwrap();
    let bob = pair.bob.events.bind_interdomain(domid(ALICE), alice.number()).unwrap();
    let count = allocations(|| {
        let mapping = reservation.take().unwrap().map::<ReadWrite>().unwrap();
        mapping.write(4000, &[1; 200]).unwrap();
        mapping.read(4000, &mut [0; 200]).unwrap();
        bob.send().unwrap();
        let waker = std::task::Waker::noop();
        let mut wait = std::pin::pin!(alice.wait());
        let mut cx = std::task::Context::from_waker(waker);
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        pair.alice.events.dispatch();
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        assert_eq!(export.take().unwrap().release(), 100);
        reservation = mapping.unmap().unwrap();
        assert_eq!(pair.alice.gntalloc.reap(200), 100);
    });
    assert_eq!(count, 0);
}
