// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order of tasks that wait for room to print: first come, first served.
//!
//! Without it, a task that needs little room would always overtake one that needs much.

use core::task::{Context, Poll};

use super::ConsoleState;
use crate::list;
use crate::memory::Platform;

/// A printing task's place in the queue. Dropping it leaves the queue.
pub(super) struct Place<'a, X: Platform> {
    console: &'a ConsoleState<X>,
    /// 0 for a task that hasn't had to wait, or for which there was no memory.
    number: u64,
}

impl<'a, X: Platform> Place<'a, X> {
    /// Creates a place outside the queue.
    pub(super) fn new(console: &'a ConsoleState<X>) -> Self {
        Self { console, number: 0 }
    }

    /// Joins the end of the queue unless it is already in it. Returns whether it joined. If memory
    /// runs out, it doesn't, and the task goes on when nobody else waits.
    pub(super) fn take(&mut self) -> bool {
        if self.number != 0 {
            return false;
        }
        let out = &mut *self.console.out.lock();
        let number = out.last_number + 1;
        if list::push(&mut out.queue, number).is_err() {
            return false;
        }
        (out.last_number, self.number) = (number, number);
        true
    }

    /// Whether nobody is ahead.
    pub(super) fn is_first(&self) -> bool {
        self.console.out.lock().queue.first().is_none_or(|first| *first == self.number)
    }

    /// Waits for the first event after `mark`, or, for a task that was not `first`, until it is.
    pub(super) fn poll_news(&self, mark: u64, first: bool, cx: &mut Context<'_>) -> Poll<()> {
        self.console.on_first.register(cx.waker());
        if !first && self.is_first() {
            return Poll::Ready(());
        }
        self.console.poll_news(mark, cx)
    }
}

impl<X: Platform> Drop for Place<'_, X> {
    fn drop(&mut self) {
        if self.number != 0 {
            self.console.out.lock().queue.retain(|number| *number != self.number);
            self.console.on_first.wake();
        }
    }
}
