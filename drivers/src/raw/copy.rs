// SPDX-License-Identifier: MIT OR Apache-2.0
//! One batch of `GNTTABOP_copy`: Xen copies between granted pages and pages of our own.
//!
//! An entry names a page of our own by its frame number, and Xen accesses that frame whoever uses
//! it. So the batch borrows each [`Page`] until Xen is done. Callers make sure that at least one
//! side of each entry is a grant.

use core::fmt;
use core::marker::PhantomData;

use xen_sys::grant_table::{Gntcopy, GnttabCopy, GnttabCopyPtr, GrantStatus};
use xen_sys::xen::DOMID_SELF;

use super::eagain;
use crate::memory::{Page, Platform};
use crate::{Call, ClaimedGrant, Error};

/// One side of an entry: a page, and an offset in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CopySide<'p> {
    Grant(ClaimedGrant, u16),
    Page(&'p Page, u16),
}

impl CopySide<'_> {
    #[inline]
    fn ptr(self) -> GnttabCopyPtr {
        let (u, domid, offset) = match self {
            CopySide::Grant(grant, offset) => (grant.gref.0.into(), grant.domid.0, offset),
            CopySide::Page(page, offset) => (page.gfn(), DOMID_SELF, offset),
        };
        GnttabCopyPtr { u, domid, offset, ..Default::default() }
    }

    #[inline]
    fn flag(self, flag: Gntcopy) -> Gntcopy {
        if matches!(self, CopySide::Grant(..)) { flag } else { Gntcopy::empty() }
    }
}

/// A batch of entries, as many as there is room for.
pub(crate) struct Batch<'p, 'r> {
    room: &'r mut [GnttabCopy],
    len: usize,
    pages: PhantomData<&'p Page>,
}

impl<'p, 'r> Batch<'p, 'r> {
    /// Creates an empty batch in `room`, whose content doesn't matter.
    pub(crate) fn new(room: &'r mut [GnttabCopy]) -> Self {
        Self { room, len: 0, pages: PhantomData }
    }

    /// Returns how many more entries there is room for.
    pub(crate) fn left(&self) -> usize {
        self.room.len() - self.len
    }

    /// Adds an entry, if there is room.
    ///
    /// # Panics
    /// If Xen would write to a page that is marked clean.
    #[inline]
    pub(crate) fn push(&mut self, source: CopySide<'p>, dest: CopySide<'p>, len: u16) {
        if let CopySide::Page(page, _) = dest {
            assert!(!page.is_clean(), "a clean page is not written behind its owner's back");
        }
        if let Some(place) = self.room.get_mut(self.len) {
            *place = GnttabCopy {
                source: source.ptr(),
                dest: dest.ptr(),
                len,
                flags: source.flag(Gntcopy::SOURCE_GREF) | dest.flag(Gntcopy::DEST_GREF),
                // Poisoned: a continuation once left entries untouched (XSA-318).
                status: GrantStatus::GENERAL_ERROR,
                ..Default::default()
            };
            self.len += 1;
        }
    }

    /// Carries out all entries with one hypercall. [`Batch::status`] returns each entry's status.
    ///
    /// # Errors
    /// The hypercall's own. Entries that it didn't reach have the status general_error.
    pub(crate) fn run<X: Platform>(&mut self, xen: &X) -> Result<(), Error> {
        let Some(ops @ [_, ..]) = self.room.get_mut(..self.len) else {
            return Ok(());
        };
        let copy = |ops: &mut [GnttabCopy]| {
            // SAFETY: the frames belong to pages that `self` borrows, which are accessed by address
            // only.
            unsafe { xen.gnttab_copy(ops) }
        };
        let again = |ops: &mut [GnttabCopy]| {
            ops.iter_mut().for_each(|op| op.status = GrantStatus::GENERAL_ERROR);
            copy(ops)
        };
        copy(ops)
            .and_then(|()| eagain::retry(xen, ops, |op| op.status, again))
            .map_err(|errno| Error::Hypercall(Call::GnttabCopy, errno))
    }

    /// Returns the statuses of all entries.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = GrantStatus> {
        self.room.iter().take(self.len).map(|op| op.status)
    }

    /// Returns the status of an entry.
    pub(crate) fn status(&self, entry: usize) -> GrantStatus {
        self.room.get(entry).map_or(GrantStatus::GENERAL_ERROR, |op| op.status)
    }
}

impl fmt::Debug for Batch<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.room.iter().take(self.len)).finish()
    }
}
