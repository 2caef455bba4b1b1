// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fairness: a task whose peer always keeps up never has to wait, and would starve the executor's
//! other tasks. So it yields after each ring's worth of bytes.

use embassy_futures::yield_now;

/// Bytes moved since the last yield.
#[derive(Debug)]
pub(crate) struct Turn {
    moved: u32,
    most: u32,
}

impl Turn {
    /// Yields after `most` bytes.
    pub(crate) fn new(most: u32) -> Self {
        Self { moved: 0, most }
    }

    /// Counts bytes that were moved.
    pub(crate) fn count(&mut self, moved: u32) {
        self.moved = self.moved.saturating_add(moved);
    }

    /// Whether enough was moved to yield.
    pub(crate) fn is_over(&self) -> bool {
        self.moved >= self.most
    }

    /// Yields if enough was moved.
    pub(crate) async fn give_way(&mut self) {
        if self.is_over() {
            self.moved = 0;
            yield_now().await;
        }
    }
}
