// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages given back to Xen and taken from it, a batch at a time.
//!
//! A page given back comes from the allocator's free ones, so nobody uses it and no grant entry
//! names it. It is zeroed first, since Xen may hand it to anybody. Its PFN stays as a vacancy for a
//! later page. No frame is lost, even if Xen doesn't take it or undoing fails: a frame that
//! couldn't be mapped at its PFN again waits for the next try.

use alloc::vec::Vec;

use super::pages;
use crate::memory::{Platform, Vacancy};
use crate::{Call, Error};

/// The most pages in one hypercall.
pub(crate) const BATCH: usize = 64;

/// This domain's PFNs without a page.
#[derive(Debug)]
pub(crate) struct Vacancies<X: Platform> {
    xen: X,
    empty: Vec<Vacancy>,
    /// Vacancies whose frames are ours but not mapped, with their GFNs.
    unmapped: Vec<(Vacancy, u64)>,
}

/// The outcome of a batch: how many pages were done, and the error if it stopped early.
pub(crate) type Done = (u32, Option<Error>);

impl<X: Platform> Vacancies<X> {
    /// Returns an empty set of vacancies.
    pub(crate) fn new(xen: &X) -> Self {
        Self { xen: xen.clone(), empty: Vec::new(), unmapped: Vec::new() }
    }

    /// Returns how many frames are ours but not mapped.
    pub(crate) fn unmapped(&self) -> u32 {
        self.unmapped.len() as u32
    }

    /// Gives up to `pages` pages back to Xen, at most [`BATCH`].
    pub(crate) fn give_back(&mut self, pages: u32) -> Done {
        let pages = (pages as usize).min(BATCH);
        if self.empty.try_reserve(pages).is_err() || self.unmapped.try_reserve(pages).is_err() {
            return (0, Some(Error::NO_MEMORY));
        }
        let (mut gfns, mut count, mut why) = ([0; BATCH], 0, None);
        for gfn in gfns.iter_mut().take(pages) {
            let page = match pages::alloc(&self.xen) {
                Ok(page) => page,
                Err(error) => {
                    why = Some(error);
                    break;
                }
            };
            *gfn = page.gfn();
            // SAFETY: it is fresh from the allocator, so no entry names it and nobody accesses it.
            match unsafe { self.xen.detach_page(page) } {
                Ok(vacancy) => self.empty.push(vacancy),
                Err((page, errno)) => {
                    pages::free(&self.xen, page);
                    why = Some(Error::Local(errno, &"a page can't be unmapped"));
                    break;
                }
            }
            count += 1;
        }
        let left = gfns.get(..count).unwrap_or_default();
        // SAFETY: these frames belonged to pages that were detached just now.
        let gone = match unsafe { self.xen.decrease_reservation(left) } {
            Ok(gone) => gone.min(count),
            Err(errno) => {
                why = Some(Error::Hypercall(Call::MemoryOp, errno));
                0
            }
        };
        // Frames that Xen didn't take go back to their PFNs.
        for gfn in left.iter().skip(gone).rev() {
            // The last vacancies are those of this batch, in the same order.
            if let Some(vacancy) = self.empty.pop() {
                self.unmapped.push((vacancy, *gfn));
            }
        }
        self.map_all();
        (gone as u32, why.or((gone < pages).then_some(REFUSED)))
    }

    /// Takes up to `pages` pages from Xen, at most [`BATCH`].
    pub(crate) fn take(&mut self, pages: u32) -> Done {
        let pages = (pages as usize).min(BATCH);
        if self.unmapped.try_reserve(pages).is_err() || self.empty.try_reserve(pages).is_err() {
            return (0, Some(Error::NO_MEMORY));
        }
        while self.empty.len() < pages {
            match self.xen.extend() {
                Some(vacancy) => self.empty.push(vacancy),
                None => break,
            }
        }
        let (mut frames, mut count) = ([0; BATCH], 0);
        for (frame, vacancy) in frames.iter_mut().zip(self.empty.iter().rev()).take(pages) {
            *frame = vacancy.pfn();
            count += 1;
        }
        let asked = frames.get_mut(..count).unwrap_or_default();
        let came = match self.xen.populate_physmap(asked) {
            Ok(came) => came.min(count),
            Err(errno) => return (0, Some(Error::Hypercall(Call::MemoryOp, errno))),
        };
        for gfn in asked.iter().take(came) {
            if let Some(vacancy) = self.empty.pop() {
                self.unmapped.push((vacancy, *gfn));
            }
        }
        self.map_all();
        let why = if count < pages { NO_ROOM } else { REFUSED };
        (came as u32, (came < pages).then_some(why))
    }

    /// Maps the frames that are ours at their PFNs, and frees the pages to the allocator. Frames
    /// that can't be mapped wait for the next call.
    fn map_all(&mut self) {
        for _ in 0..self.unmapped.len() {
            let Some((vacancy, gfn)) = self.unmapped.pop() else {
                return;
            };
            // SAFETY: Xen has just given the frame to this domain, or never taken it.
            match unsafe { self.xen.attach_page(vacancy, gfn) } {
                Ok(page) => pages::free(&self.xen, page),
                // There is room: one entry was just removed.
                Err((vacancy, _)) => self.unmapped.insert(0, (vacancy, gfn)),
            }
        }
    }
}

const REFUSED: Error = Error::Local(crate::Errno::ENOMEM, &"Xen refuses more");
const NO_ROOM: Error = Error::Local(crate::Errno::ENOSPC, &"there is no room for more pages");
