// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who prints and waits for room, in the order in which they came.
//!
//! Without it one who needs little room would always be ahead of one who needs much.

use core::task::{Context, Poll};

use super::ConsoleState;
use crate::list;
use crate::memory::Platform;

/// The place of one who prints. Dropping it gives it up.
pub(super) struct Place<'a, X: Platform> {
    console: &'a ConsoleState<X>,
    /// 0 for one who has not had to wait, or had no memory to.
    number: u64,
}

impl<'a, X: Platform> Place<'a, X> {
    /// None yet.
    pub(super) fn new(console: &'a ConsoleState<X>) -> Self {
        Self { console, number: 0 }
    }

    /// Takes the last place, unless it has one; whether it did. Without memory there is none, and
    /// who has none goes on when nobody else waits.
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

    /// Waits for the first event after `mark`, or, for one who was not `first`, until it is.
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
