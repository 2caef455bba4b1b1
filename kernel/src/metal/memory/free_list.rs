// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stack of free frames, threaded through the frames themselves: no memory of its own, every
//! operation O(1).
//!
//! Each frame must be mapped at its address. The word that held the link is zeroed again on
//! removal, so a clean frame stays clean.
#![expect(unsafe_code, reason = "the list lives in the free frames")]

use core::ptr;

use super::{Pfn, translate};

/// A stack of free frames; each holds the number of the next in its first eight bytes.
#[derive(Debug)]
pub struct FreeList {
    head: Option<Pfn>,
    len: u64,
}

impl FreeList {
    /// No frames.
    pub const EMPTY: Self = Self { head: None, len: 0 };

    /// The number of frames in the list.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Adds a frame.
    ///
    /// # Safety
    /// The frame has an address, and nobody uses it.
    #[inline]
    pub unsafe fn push(&mut self, pfn: Pfn) {
        let link = ptr::with_exposed_provenance_mut::<u64>(translate::address_of(pfn));
        // SAFETY: mapped and unused, as the caller promises.
        unsafe { link.write(self.head.map_or(0, |next| next.0)) };
        self.head = Some(pfn);
        self.len += 1;
    }

    /// Removes the frame added last.
    #[inline]
    pub fn pop(&mut self) -> Option<Pfn> {
        let mut popped = None;
        self.pop_run(1, |pfn, _| popped = Some(pfn));
        popped
    }

    /// Removes up to `count` frames, those added last, and passes each to `take` with its address.
    /// Returns how many there were.
    #[inline]
    pub fn pop_run(&mut self, count: u64, mut take: impl FnMut(Pfn, usize)) -> u64 {
        let initial_end = translate::initial_end();
        let (mut head, mut taken) = (self.head, 0);
        while taken < count
            && let Some(pfn) = head
        {
            let address = translate::address_given(initial_end, pfn);
            let link = ptr::with_exposed_provenance_mut::<u64>(address);
            // SAFETY: `push` wrote it there, and the frame has belonged to the list since.
            let next = unsafe { link.read() };
            // SAFETY: as above; this makes a clean frame clean again.
            unsafe { link.write(0) };
            // PFN 0 holds the image's first page, so zero ends the list.
            head = (next != 0).then_some(Pfn(next));
            taken += 1;
            take(pfn, address);
        }
        self.head = head;
        self.len -= taken;
        taken
    }
}
