//! One batch of `GNTTABOP_copy`: Xen copies between granted pages and pages of ours.
//!
//! A page of ours is named by its machine frame, which Xen writes to whoever holds it; so the
//! batch borrows each [`Page`] until Xen is done. At least one side of an entry is a grant:
//! callers see to that.

use core::fmt;
use core::marker::PhantomData;

use xen_sys::grant_table::{Gntcopy, GnttabCopy, GnttabCopyPtr, GrantStatus};
use xen_sys::xen::DOMID_SELF;

use super::eagain;
use crate::memory::{Page, Platform};
use crate::{Call, ClaimedGrant, Error};

/// Entries in one hypercall.
pub(crate) const BATCH: usize = 16;

/// One side of an entry: a page, and the first byte in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CopySide<'p> {
    Grant(ClaimedGrant, u16),
    Page(&'p Page, u16),
}

impl CopySide<'_> {
    fn ptr(self) -> GnttabCopyPtr {
        let (u, domid, offset) = match self {
            CopySide::Grant(grant, offset) => (grant.gref.0.into(), grant.domid.0, offset),
            CopySide::Page(page, offset) => (page.gfn(), DOMID_SELF, offset),
        };
        GnttabCopyPtr { u, domid, offset, ..Default::default() }
    }

    fn flag(self, flag: Gntcopy) -> Gntcopy {
        if matches!(self, CopySide::Grant(..)) { flag } else { Gntcopy::empty() }
    }
}

/// Up to [`BATCH`] entries.
pub(crate) struct Batch<'p> {
    ops: [GnttabCopy; BATCH],
    len: usize,
    pages: PhantomData<&'p Page>,
}

impl<'p> Batch<'p> {
    pub(crate) fn new() -> Self {
        Self { ops: [GnttabCopy::default(); BATCH], len: 0, pages: PhantomData }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// If the batch is full, or Xen would write to a page that is taken to be clean.
    pub(crate) fn push(&mut self, source: CopySide<'p>, dest: CopySide<'p>, len: u16) {
        if let CopySide::Page(page, _) = dest {
            assert!(!page.is_clean(), "a clean page is not written behind its owner's back");
        }
        self.ops[self.len] = GnttabCopy {
            source: source.ptr(),
            dest: dest.ptr(),
            len,
            flags: source.flag(Gntcopy::SOURCE_GREF) | dest.flag(Gntcopy::DEST_GREF),
            ..Default::default()
        };
        self.len += 1;
    }

    /// Copies, one hypercall for all; each entry's status is [`Batch::status`].
    ///
    /// # Errors
    /// The hypercall's own. What it didn't come to has the status general_error.
    pub(crate) fn run<X: Platform>(&mut self, xen: &X) -> Result<(), Error> {
        if self.len == 0 {
            return Ok(());
        }
        let ops = &mut self.ops[..self.len];
        let copy = |ops: &mut [GnttabCopy]| {
            // Poisoned: a continuation once left entries untouched (XSA-318).
            ops.iter_mut().for_each(|op| op.status = GrantStatus::GENERAL_ERROR);
            // SAFETY: the frames are those of pages that `self` borrows, which are accessed by
            // address only.
            unsafe { xen.gnttab_copy(ops) }
        };
        copy(ops)
            .and_then(|()| eagain::retry(xen, ops, |op| op.status, copy))
            .map_err(|errno| Error::Hypercall(Call::GnttabCopy, errno))
    }

    pub(crate) fn status(&self, entry: usize) -> GrantStatus {
        self.ops[entry].status
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.ops[..self.len]).finish()
    }
}
