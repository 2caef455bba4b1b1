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
        let new = run.get_mut(have..).unwrap_or_default();
        let granted = self.name_run(new);
        let entries = self.entries();
        for granted in new.get(..granted).unwrap_or_default() {
            // `name_run` checked that the frame number fits.
            let frame = granted.page.gfn() as u32;
            introduce(&self.entry_in(entries, granted.gref), frame, peer, access);
        }
        if granted == missing {
            return Ok(());
        }
        let error = match new.get(granted) {
            None => Error::NO_MEMORY,
            Some(granted) if fits(granted) => FULL,
            Some(_) => ABOVE_16_TIB,
        };
        self.free_from(run, have + granted);
        Err(error)
    }

    /// Gives pages their references. Returns how far it got: to the end, to a page whose frame number
    /// doesn't fit, or until the table was full.
    fn name_run(&self, new: &mut [Granted]) -> usize {
        let now = self.xen.now();
        let places = new.iter_mut().take_while(|granted| fits(granted)).map(|granted| {
            // The peer may write to it from now on.
            granted.page.set_clean(false);
            &mut granted.gref
        });
        self.state.lock().references.take(now, places)
    }

    /// Fires the notices of a run, ends its grants, and frees their pages. Pages that the peer maps
    /// stay in it.
    pub(crate) fn end_run(&self, run: &mut Few<Granted>) {
        run.iter_mut().for_each(|granted| self.fire(granted));
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
        self.release_from(run, kept);
    }

    /// Fires the notices of a run, all of whose grants are suspended, and frees its pages.
    pub(crate) fn free_suspended(&self, run: &mut Few<Granted>) {
        run.iter_mut().for_each(|granted| self.fire(granted));
        self.release_from(run, 0);
    }

    /// Frees the pages of a run from `first` on, which no entry names and no notice, together with
    /// their references.
    fn release_from(&self, run: &mut Few<Granted>, first: usize) {
        let released = run.get(first..).unwrap_or_default();
        self.state.lock().references.give(released.iter().map(|granted| granted.gref));
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

/// Whether a grant entry can name its frame.
fn fits(granted: &Granted) -> bool {
    u32::try_from(granted.page.gfn()).is_ok()
}

/// A placeholder that is never one of our references: it is one of Xen's own.
const NO_GRANT: GrantRef = GrantRef(0);
const ABOVE_16_TIB: Error =
    Error::Local(Errno::EOVERFLOW, &"the page lies above 16 TiB of machine memory");
