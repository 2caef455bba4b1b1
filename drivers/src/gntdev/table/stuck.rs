// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that Xen refused to unmap: they stay mapped, in a list linked through their entries, and
//! are retried.

use super::{IndexEntry, IndexState, Table};
use crate::memory::Platform;

/// No index.
pub(super) const NONE: u32 = u32::MAX;

impl<X: Platform> Table<X> {
    /// Keeps an index for a retry.
    pub(super) fn set_stuck(&mut self, index: u32, state: IndexState) {
        let next_stuck = core::mem::replace(&mut self.first_stuck, index);
        let entry = self.entry(index);
        *entry = IndexEntry { state, next_stuck, ..*entry };
        self.usage.stuck += 1;
    }

    /// Retries all refused unmaps.
    pub(crate) fn retry_stuck(&mut self) {
        let mut next = core::mem::replace(&mut self.first_stuck, NONE);
        while next != NONE {
            let index = next;
            let entry = *self.entry(index);
            next = entry.next_stuck;
            self.usage.stuck -= 1;
            if self.window.unmap(index..index + 1).is_err() {
                self.set_stuck(index, entry.state);
                continue;
            }
            let IndexEntry { ticket, first, len, .. } = entry;
            let state = IndexState::Reserved;
            *self.entry(index) = IndexEntry { state, ticket, first, len, ..IndexEntry::default() };
            if entry.state == IndexState::StuckOrphan {
                self.free_index(index);
            }
        }
    }
}
