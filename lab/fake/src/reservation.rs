// SPDX-License-Identifier: MIT OR Apache-2.0
//! A domain's size on the fake: frames that go back to Xen, and come.
//!
//! What Xen lets pass panics: giving back a frame that is still mapped at its place, that a live
//! entry names, or that somebody else maps; a place that is filled twice.
#![expect(unsafe_code, reason = "makes pages and places")]

use std::sync::Arc;

use super::FakeXen;
use super::domain::{Domain, Mode};
use super::fault::CallFaults;
use super::memory::{Pte, first_gfn};
use drivers::Errno;
use drivers::memory::{Page, Vacancy};

impl FakeXen {
    /// Makes the `nth` unmapping of a page that goes back to Xen fail, counted from 0.
    pub fn refuse_detach_after(&self, nth: u32) {
        self.of(&mut self.world.lock()).detach_refused = Some(nth);
    }

    /// Makes the `nth` mapping of a page that comes from Xen, or back to its place, fail.
    pub fn refuse_attach_after(&self, nth: u32) {
        self.of(&mut self.world.lock()).attach_refused = Some(nth);
    }
}

/// Whether it's the turn of what was asked for.
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
        // SAFETY: its page was taken from it just now.
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
        // SAFETY: the place was vacant, and the frame was nowhere.
        Ok(unsafe { Page::new(addr, gfn, false) })
    }

    pub(super) fn extend(&mut self) -> Option<Vacancy> {
        if self.next_pfn >= self.config.max_pages.into() || self.pages_until_failure == Some(0) {
            self.pages_until_failure = self.pages_until_failure.filter(|left| *left > 0);
            return None;
        }
        self.next_pfn += 1;
        // SAFETY: a number that was not given out before.
        Some(unsafe { Vacancy::new(self.next_pfn - 1) })
    }

    /// Takes frames away until it meets a fault: how many.
    pub(super) fn decrease(&mut self, gfns: &[u64], faults: &CallFaults) -> Result<usize, Errno> {
        faults.counted(gfns.len(), |at| {
            let gfn = gfns[at];
            assert!(!self.pfns.contains_key(&gfn), "gave back frame {gfn:#x}, which is mapped");
            assert_eq!(self.entries_naming(gfn), [], "gave back a frame that is granted");
            let frame = self.frames.remove(&gfn).expect("gave back a frame of its own");
            assert_eq!(Arc::strong_count(&frame), 1, "gave back a frame that somebody maps");
            assert!(frame.bytes().iter().all(|byte| *byte == 0), "gave back what it had written");
            self.clean.remove(&gfn);
            true
        })
    }

    /// Gives it frames until it has all that it may, or it meets a fault: how many.
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
