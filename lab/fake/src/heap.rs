// SPDX-License-Identifier: MIT OR Apache-2.0
//! A heap that counts what the guests ask for, and refuses the request that a test names.
//!
//! For tests that a hot path asks for nothing, and that every call survives the refusal of any
//! request. A test program makes it its allocator:
//!
//! ```
//! #[global_allocator]
//! static HEAP: fake_xen::heap::Heap = fake_xen::heap::Heap;
//!
//! assert_eq!(fake_xen::heap::requests(|| drop(Box::new([0; 100]))), 1);
//! let refused = fake_xen::heap::refuse(1, || {
//!     let (mut one, mut two) = (Vec::<u8>::new(), Vec::<u8>::new());
//!     (one.try_reserve(8).is_ok(), two.try_reserve(8).is_ok())
//! });
//! assert_eq!(refused, ((true, false), true));
//! ```
//!
//! Counts are by thread, as tests are. What the fake needs for itself is no guest's: it is neither
//! counted nor refused.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::ptr;
use std::alloc::{GlobalAlloc, Layout, System};

std::thread_local! {
    /// Requests so far, while they are counted.
    static COUNTED: Cell<Option<u32>> = const { Cell::new(None) };
    /// How many more requests are answered before one is refused.
    static ANSWERED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The system's allocator, with a count and a fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// How often this thread asked the heap while `run` ran.
///
/// 0 if [`Heap`] is not the program's allocator: a test begins by counting something it knows.
pub fn requests(run: impl FnOnce()) -> u32 {
    COUNTED.set(Some(0));
    run();
    COUNTED.take().unwrap_or(0)
}

/// Runs `run` with one of this thread's requests refused, after so many that are answered. Returns
/// its result, and whether it came to that.
///
/// What is not allocated fallibly aborts the program when it is refused: `run` makes the calls that
/// are to survive, and nothing else.
pub fn refuse<R>(answered: u32, run: impl FnOnce() -> R) -> (R, bool) {
    ANSWERED.set(Some(answered));
    let result = run();
    (result, ANSWERED.take().is_none())
}

/// The refusal of one request, for calls and polls of which any may come to it.
#[derive(Debug)]
pub struct Refusal {
    /// How many more are answered before; `None` once it was refused.
    left: Cell<Option<u32>>,
}

impl Refusal {
    /// After so many requests that are answered.
    pub const fn after(answered: u32) -> Self {
        Self { left: Cell::new(Some(answered)) }
    }

    /// Whether it has come to it.
    pub fn is_done(&self) -> bool {
        self.left.get().is_none()
    }

    /// Runs `run`, with the request refused if that is in it: see [`refuse`].
    pub fn over<R>(&self, run: impl FnOnce() -> R) -> R {
        let Some(answered) = self.left.get() else {
            return run();
        };
        let mut ended = None;
        let asked = requests(|| ended = Some(refuse(answered, run)));
        let (result, refused) = ended.expect("`requests` runs it");
        self.left.set((!refused).then(|| answered - asked));
        result
    }

    /// Runs `future`, with the request refused if a poll that begins while `armed` comes to it.
    pub async fn during<F: Future>(&self, armed: impl Fn() -> bool, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let mut poll = || future.as_mut().poll(cx);
            if armed() { self.over(poll) } else { poll() }
        })
        .await
    }
}

/// Counts a request; whether it is to be refused.
fn refuses() -> bool {
    if crate::is_inside() {
        return false;
    }
    COUNTED.set(COUNTED.get().map(|n| n + 1));
    let left = ANSWERED.get();
    ANSWERED.set(left.and_then(|n| n.checked_sub(1)));
    left == Some(0)
}

// SAFETY: every request that is answered is handed to the system's allocator as it came, and what
// is refused is refused as the trait says, by a null pointer.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses() {
            return ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}
