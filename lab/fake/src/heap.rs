// SPDX-License-Identifier: MIT OR Apache-2.0
//! A heap that counts the guests' requests, and refuses the one that a test chooses.
//!
//! For tests that a hot path allocates nothing, and that every call survives the refusal of any
//! request. A test program makes it its global allocator:
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
//! Counts are per thread, since each test has its own. FakeXen's own requests are neither counted
//! nor refused.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::ptr;
use std::alloc::{GlobalAlloc, Layout, System};

std::thread_local! {
    /// The number of requests so far, while they are counted.
    static COUNTED: Cell<Option<u32>> = const { Cell::new(None) };
    /// How many more requests succeed before one is refused.
    static ANSWERED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// The system's allocator, with a counter and fault injection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

/// Returns how many requests this thread made of the heap during `run`.
///
/// Always 0 if [`Heap`] is not the program's allocator, so a test first counts an allocation that
/// it knows to happen.
pub fn requests(run: impl FnOnce()) -> u32 {
    COUNTED.set(Some(0));
    run();
    COUNTED.take().unwrap_or(0)
}

/// Runs `run` with one of this thread's requests refused, after `answered` that succeed. Returns
/// its result, and whether a request was refused.
///
/// A refused infallible allocation aborts the program, so `run` must make only the calls that are
/// to survive.
pub fn refuse<R>(answered: u32, run: impl FnOnce() -> R) -> (R, bool) {
    ANSWERED.set(Some(answered));
    let result = run();
    (result, ANSWERED.take().is_none())
}

/// The refusal of one request, somewhere in a series of calls and polls.
#[derive(Debug)]
pub struct Refusal {
    /// How many more requests succeed first; `None` once one was refused.
    left: Cell<Option<u32>>,
}

impl Refusal {
    /// A refusal after `answered` requests that succeed.
    pub const fn after(answered: u32) -> Self {
        Self { left: Cell::new(Some(answered)) }
    }

    /// Whether the request has been refused.
    pub fn is_done(&self) -> bool {
        self.left.get().is_none()
    }

    /// Runs `run`, which counts towards the refusal and may meet it: see [`refuse`].
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

    /// Runs `future`. Polls that begin while `armed` returns true count towards the refusal and may
    /// meet it.
    pub async fn during<F: Future>(&self, armed: impl Fn() -> bool, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let mut poll = || future.as_mut().poll(cx);
            if armed() { self.over(poll) } else { poll() }
        })
        .await
    }
}

/// Counts a request. Returns whether to refuse it.
fn refuses() -> bool {
    if crate::is_inside() {
        return false;
    }
    COUNTED.set(COUNTED.get().map(|n| n + 1));
    let left = ANSWERED.get();
    ANSWERED.set(left.and_then(|n| n.checked_sub(1)));
    left == Some(0)
}

// SAFETY: requests are passed to the system's allocator unchanged, or refused with a null pointer,
// as the trait prescribes.
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
