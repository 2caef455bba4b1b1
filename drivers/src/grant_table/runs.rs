// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs: pages that are granted in one call, and ended in one.
//!
//! Each pass over a run takes each lock once, and asks the allocator once.

use super::{FULL, GrantTable, Granted, introduce};
use crate::few::Few;
use crate::memory::Platform;
use crate::raw::pages;
use crate::{Access, DomId, Errno, Error, GrantRef};

impl<X: Platform> GrantTable<X> {
    /// Grants zeroed pages to `peer` until `run`, which has room for them, has `count`. Makes no
    /// hypercall: it doesn't grow the table.
    ///
    /// # Errors
    /// ENOMEM; EOVERFLOW for a frame number beyond 32 bits; ENOSPC if the table is full. Pages
    /// granted by then are in the run.
    pub(crate) fn grant_run(
        &self,
        peer: DomId,
        access: Access,
        run: &mut Few<Granted>,
        count: u32,
    ) -> Result<(), Error> {
        let have = run.len();
        let missing = (count as usize).saturating_sub(have);
        pages::alloc_run(&self.xen, missing as u32, |page| {
            run.push(Granted { page, gref: NO_GRANT, notice: None });
        });
        let (granted, error) = self.name_run(run, have);
        for granted in run.iter().take(granted).skip(have) {
            // `name_run` checked that the frame number fits.
            introduce(&self.entry(granted.gref), granted.page.gfn() as u32, peer, access);
        }
        let error = error.or((run.len() < count as usize).then_some(Error::NO_MEMORY));
        self.free_from(run, granted);
        error.map_or(Ok(()), Err)
    }

    /// Gives each page of a run from `have` on its reference. Returns how far it got, and the error
    /// if it stopped early.
    fn name_run(&self, run: &mut [Granted], have: usize) -> (usize, Option<Error>) {
        let now = self.xen.now();
        let references = &mut self.state.lock().references;
        let mut named = have;
        for granted in run.iter_mut().skip(have) {
            if u32::try_from(granted.page.gfn()).is_err() {
                return (named, Some(ABOVE_16_TIB));
            }
            let Some(gref) = references.take(now) else {
                return (named, Some(FULL));
            };
            granted.gref = GrantRef(gref);
            // The peer may write to it from now on.
            granted.page.set_clean(false);
            named += 1;
        }
        (named, None)
    }

    /// Ends the grants of a run and frees their pages. Pages that the peer maps stay in it.
    pub(crate) fn end_run(&self, run: &mut Few<Granted>) {
        let mut kept = 0;
        let pages = &mut **run;
        for at in 0..pages.len() {
            if pages.get(at).is_some_and(|granted| self.suspend(granted)) {
                continue;
            }
            if kept < at {
                pages.swap(kept, at);
            }
            kept += 1;
        }
        self.free_suspended(run, kept);
    }

    /// Frees the pages of a run from `first` on, all of which are suspended, together with their
    /// references.
    pub(crate) fn free_suspended(&self, run: &mut Few<Granted>, first: usize) {
        run.iter_mut().skip(first).for_each(|granted| self.forget_notice(granted));
        let references = &mut self.state.lock().references;
        run.iter().skip(first).for_each(|granted| references.give(granted.gref.0));
        self.free_from(run, first);
    }

    /// Frees the pages of a run from `first` on, which no entry names.
    fn free_from(&self, run: &mut Few<Granted>, first: usize) {
        match run {
            Few::Many(many) => {
                let next = || (many.len() > first).then(|| many.pop()).flatten();
                let pages = core::iter::from_fn(next).map(|granted| granted.page);
                pages::free_run(&self.xen, pages);
            }
            Few::One(_) if first == 0 => {
                if let Few::One(granted) = core::mem::take(run) {
                    pages::free(&self.xen, granted.page);
                }
            }
            Few::One(_) => (),
        }
    }
}

/// A placeholder that is never one of our references: it is one of Xen's own.
const NO_GRANT: GrantRef = GrantRef(0);
const ABOVE_16_TIB: Error =
    Error::Local(Errno::EOVERFLOW, &"the page lies above 16 TiB of machine memory");
