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
        // SAFETY: mapped and unused, as the caller promises.
        unsafe { link_of(pfn).write(self.head.map_or(0, |next| next.0)) };
        self.head = Some(pfn);
        self.len += 1;
    }

    /// Removes the frame added last.
    #[inline]
    pub fn pop(&mut self) -> Option<Pfn> {
        let pfn = self.head?;
        let link = link_of(pfn);
        // SAFETY: `push` wrote it there, and the frame has belonged to the list since.
        let next = unsafe { link.read() };
        // SAFETY: as above; this makes a clean frame clean again.
        unsafe { link.write(0) };
        // PFN 0 holds the image's first page, so zero ends the list.
        self.head = (next != 0).then_some(Pfn(next));
        self.len -= 1;
        Some(pfn)
    }
}

#[inline]
fn link_of(pfn: Pfn) -> *mut u64 {
    ptr::with_exposed_provenance_mut(translate::address_of(pfn))
}
