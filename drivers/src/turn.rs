// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns: a task whose other side is always faster never has to wait, and would starve the other
//! tasks. So it counts what it moves, and yields after a set amount.

use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};

/// How much was moved since other tasks had their turn.
#[derive(Debug)]
pub(crate) struct Turn {
    moved: AtomicUsize,
    most: usize,
}

impl Turn {
    /// Starts a turn that ends after `most`.
    pub(crate) const fn new(most: usize) -> Self {
        Self { moved: AtomicUsize::new(0), most }
    }

    /// Adds to what was moved.
    pub(crate) fn count(&self, moved: usize) {
        self.moved.fetch_add(moved, Ordering::Relaxed);
    }

    /// Lets other tasks run if the turn is over.
    pub(crate) fn give_way(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| self.poll_give_way(cx))
    }

    /// The poll function of [`Turn::give_way`]: pending once if the turn is over.
    pub(crate) fn poll_give_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.moved.load(Ordering::Relaxed) < self.most {
            return Poll::Ready(());
        }
        self.moved.store(0, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
