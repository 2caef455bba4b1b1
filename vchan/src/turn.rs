// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns: a task whose peer is always ahead never has to wait, and would keep the other tasks of
//! its executor from running. So it lets them after each ring's worth of bytes.

use embassy_futures::yield_now;

/// What was moved since other tasks had their turn.
#[derive(Debug)]
pub(crate) struct Turn {
    moved: u32,
    most: u32,
}

impl Turn {
    /// A turn that ends after `most` bytes.
    pub(crate) fn new(most: u32) -> Self {
        Self { moved: 0, most }
    }

    /// Counts what was moved.
    pub(crate) fn count(&mut self, moved: u32) {
        self.moved = self.moved.saturating_add(moved);
    }

    /// Lets other tasks run if the turn is over.
    pub(crate) async fn give_way(&mut self) {
        if self.moved >= self.most {
            self.moved = 0;
            yield_now().await;
        }
    }
}
