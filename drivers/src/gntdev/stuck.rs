// SPDX-License-Identifier: MIT OR Apache-2.0
//! Regions that nobody holds any more, with pages that Xen refused to unmap.
//!
//! Room for a region is made when it is reserved, so keeping one can't fail. The first one's place
//! needs no heap.

use alloc::vec::Vec;

use crate::Error;
use crate::memory::Platform;
use crate::raw::Region;

/// A region with pages that Xen refused to unmap, and the device that it is charged to.
#[derive(Debug)]
pub(super) struct Stuck<X: Platform> {
    pub(super) region: Region<X>,
    pub(super) device: u32,
}

/// All of them, in the order in which they are tried again.
#[derive(Debug)]
pub(super) struct StuckRegions<X: Platform> {
    /// The next one; `None` only if there is no other.
    next: Option<Stuck<X>>,
    /// The others, the next of them at the end.
    others: Vec<Stuck<X>>,
}

impl<X: Platform> StuckRegions<X> {
    /// Returns none, with room for one.
    pub(super) const fn new() -> Self {
        Self { next: None, others: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.next.is_some()) + self.others.len()
    }

    /// Returns how many pages of theirs are still mapped.
    pub(super) fn pages(&self) -> u32 {
        self.next.iter().chain(&self.others).map(|stuck| stuck.region.mapped()).sum()
    }

    /// Makes room for `more`.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn make_room(&mut self, more: usize) -> Result<(), Error> {
        let more = more.saturating_sub(usize::from(self.next.is_none()));
        self.others.try_reserve(more).map_err(|_| Error::NO_MEMORY)
    }

    /// Adds one, for which there is room, to be tried after all others.
    pub(super) fn push(&mut self, stuck: Stuck<X>) {
        if self.next.is_none() {
            self.next = Some(stuck);
        } else {
            self.others.insert(0, stuck);
        }
    }

    /// Takes out the one to try next.
    pub(super) fn pop(&mut self) -> Option<Stuck<X>> {
        let next = self.next.take();
        self.next = self.others.pop();
        next
    }

    /// Frees the memory of an empty list.
    pub(super) fn trim(&mut self) {
        if self.others.is_empty() {
            self.others = Vec::new();
        }
    }
}
