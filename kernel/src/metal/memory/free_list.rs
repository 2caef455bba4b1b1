// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stack of free frames, threaded through the frames: no memory of its own, every operation O(1).
//!
//! Relies on each frame being mapped at its address. A frame comes out as it went in: the word that
//! held the link is zero again, so a clean frame is still clean.
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

    /// Takes the frame that was added last.
    #[inline]
    pub fn pop(&mut self) -> Option<Pfn> {
        let pfn = self.head?;
        let link = link_of(pfn);
        // SAFETY: `push` wrote it there, and the frame has been the list's since.
        let next = unsafe { link.read() };
        // SAFETY: as above; a clean frame is clean again with this.
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
