// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain's size on FakeXen: frames that it gives back to Xen, and gets from it.
//!
//! It panics on what Xen would let pass: giving back a frame that is still mapped at its place,
//! that a live entry names, that somebody else maps, or that is not zeroed; and filling a place
//! twice.
#![expect(unsafe_code, reason = "makes pages and places")]

use std::sync::Arc;

use super::FakeXen;
use super::domain::{Domain, Mode};
use super::fault::CallFaults;
use super::memory::{Pte, first_gfn};
use drivers::Errno;
use drivers::memory::{Page, Vacancy};

impl FakeXen {
    /// Makes the `nth` detach of a page (for its return to Xen) fail, counted from 0.
    pub fn refuse_detach_after(&self, nth: u32) {
        self.of(&mut self.world.lock()).detach_refused = Some(nth);
    }

    /// Makes the `nth` attach of a page (new from Xen, or back at its old place) fail, counted from
    /// 0.
    pub fn refuse_attach_after(&self, nth: u32) {
        self.of(&mut self.world.lock()).attach_refused = Some(nth);
    }
}

/// Counts down. Whether the countdown has ended.
fn is_due(after: &mut Option<u32>) -> bool {
    let due = *after == Some(0);
    *after = if due { None } else { after.map(|left| left - 1) };
    due
}

impl Domain {
    pub(super) fn detach(&mut self, page: Page) -> Result<Vacancy, (Page, Errno)> {
        if is_due(&mut self.detach_refused) {
            return Err((page, Errno::EINVAL));
        }
        let gfn = page.gfn();
        let named = self.entries_naming(gfn);
        assert_eq!(named, [], "unmapped a page that live grant entries name");
        let pte = self.ptes.remove(&page.addr());
        assert_eq!(pte.map(|pte| pte.gfn), Some(gfn), "unmapped a page that is not allocated");
        let pfn = self.pfns.remove(&gfn).expect("a page is in its place");
        // SAFETY: its page has just been removed.
        Ok(unsafe { Vacancy::new(pfn) })
    }

    pub(super) fn attach(&mut self, vacancy: Vacancy, gfn: u64) -> Result<Page, (Vacancy, Errno)> {
        if is_due(&mut self.attach_refused) {
            return Err((vacancy, Errno::EINVAL));
        }
        let frame = self.frames.get(&gfn).expect("a frame that this domain has").clone();
        let addr = self.own_addr(vacancy.pfn());
        let over = self.pfns.insert(gfn, vacancy.pfn());
        assert_eq!(over, None, "frame {gfn:#x} has a place already");
        let over = self.ptes.insert(addr, Pte { gfn, frame, writable: true, handle: None });
        assert!(over.is_none(), "a page is at {addr:#x} already");
        // SAFETY: the place was vacant, and the frame was mapped nowhere.
        Ok(unsafe { Page::new(addr, gfn, false) })
    }

    pub(super) fn extend(&mut self) -> Option<Vacancy> {
        if self.next_pfn >= self.config.max_pages.into() || self.pages_until_failure == Some(0) {
            self.pages_until_failure = self.pages_until_failure.filter(|left| *left > 0);
            return None;
        }
        self.next_pfn += 1;
        // SAFETY: this PFN was never given out before.
        Some(unsafe { Vacancy::new(self.next_pfn - 1) })
    }

    /// Takes frames away until it meets a fault. Returns how many it took.
    pub(super) fn decrease(&mut self, gfns: &[u64], faults: &CallFaults) -> Result<usize, Errno> {
        faults.counted(gfns.len(), |at| {
            let gfn = gfns[at];
            assert!(!self.pfns.contains_key(&gfn), "gave back frame {gfn:#x}, which is mapped");
            assert_eq!(self.entries_naming(gfn), [], "gave back a frame that is granted");
            let frame = self.frames.remove(&gfn).expect("gave back a frame of its own");
            assert_eq!(Arc::strong_count(&frame), 1, "gave back a frame mapped elsewhere");
            assert!(frame.bytes().iter().all(|byte| *byte == 0), "gave back a dirty page");
            self.clean.remove(&gfn);
            true
        })
    }

    /// Gives the domain frames until it has its maximum or it meets a fault. Returns how many it
    /// gave.
    pub(super) fn populate(
        &mut self,
        frames: &mut [u64],
        faults: &CallFaults,
    ) -> Result<usize, Errno> {
        faults.counted(frames.len(), |at| {
            if self.frames.len() >= self.config.max_pages as usize {
                return false;
            }
            if self.config.mode == Mode::Pv {
                frames[at] = self.next_mfn;
                self.next_mfn += 1;
            } else {
                frames[at] += first_gfn(Mode::Pvh, self.domid);
            }
            let over = self.frames.insert(frames[at], Arc::default());
            assert!(over.is_none(), "frame {:#x} is populated already", frames[at]);
            true
        })
    }
}
