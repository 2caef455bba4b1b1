// SPDX-License-Identifier: MIT OR Apache-2.0
//! The index device: the seed's calls by plain index, and their errors.
//!
//! A page is *listed* while its index names it, and *used* while anything local holds it: the index
//! is one user, each local mapping another. It is released when it has no users left.

use core::ops::Range;

use hashbrown::HashMap;
use xen_sys::linux::gntalloc::GntallocFlag;

use super::{GntAlloc, Left};
use crate::few::Few;
use crate::grant_table::Granted;
use crate::memory::{Page, Platform};
use crate::notify::NotifyRequest;
use crate::{Access, DomId, Errno, Error, GrantRef, Index, NotADomId, Pages};

/// `GNTALLOC_FLAG_WRITABLE`: the peer may map the page writable.
pub const FLAG_WRITABLE: u16 = GntallocFlag::WRITABLE.bits();

/// A gntalloc device used by plain indices: an index space, and the pages allocated in it.
///
/// It closes when the last of its clones and its [`super::LocalMapping`]s is dropped. Indices are
/// never reused.
#[derive(Debug)]
pub struct IndexDevice<X: Platform> {
    service: GntAlloc<X>,
    number: u32,
}

/// An open device.
#[derive(Debug)]
pub(super) struct OpenedAlloc {
    /// The number of values that keep it open.
    holders: u64,
    /// The page number of the next index.
    next: u64,
    /// Pages with a local user, by page number.
    records: HashMap<u64, Record>,
}

/// One page with a local user.
#[derive(Debug)]
pub(super) struct Record {
    granted: Granted,
    /// 1 while listed, plus 1 for each local mapping.
    users: u64,
    listed: bool,
}

impl<X: Platform> GntAlloc<X> {
    /// Opens an index device, with an index space of its own.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open_indexed(&self) -> Result<IndexDevice<X>, Error> {
        let opened = OpenedAlloc { holders: 1, next: 0, records: HashMap::new() };
        let number = self.0.indexed.lock().insert(opened).map_err(|_| Error::NO_MEMORY)?;
        Ok(IndexDevice { service: self.clone(), number })
    }
}

impl<X: Platform> IndexDevice<X> {
    /// ALLOC_GREF: allocates `grefs.len()` zeroed pages and grants them to `domid`. Returns the
    /// index of the first; the others follow. For no pages, it succeeds and changes nothing.
    ///
    /// # Errors
    /// EINVAL for a reserved domid or an unknown flag; ENOSPC beyond the limit, then if the grant
    /// table is full; ENOMEM. Nothing is left behind.
    pub fn alloc_gref(
        &self,
        domid: u16,
        flags: u16,
        grefs: &mut [GrantRef],
    ) -> Result<Index, Error> {
        let peer = DomId::new(domid).ok_or(NotADomId)?;
        let access = match flags {
            0 => Access::ReadOnly,
            FLAG_WRITABLE => Access::ReadWrite,
            _ => {
                return Err(Error::Local(Errno::EINVAL, &"unknown flag; WRITABLE (1) is known"));
            }
        };
        let count = u32::try_from(grefs.len()).map_err(|_| TOO_MANY)?;
        if count == 0 {
            return Ok(Index::of_page(self.with(|opened| opened.next)));
        }
        // The order that the contract requires: the limit, then memory for our own tables.
        let run = self.service.grant_run(peer, Pages(count), access, Pages(count))?;
        let room = self.with(|opened| opened.make_room(run.len()));
        if let Err(error) = room {
            each_of(run, |granted| _ = self.service.let_page_go(granted));
            self.with(OpenedAlloc::trim);
            return Err(error);
        }
        for (gref, granted) in grefs.iter_mut().zip(run.iter()) {
            *gref = granted.gref();
        }
        Ok(Index::of_page(self.with(|opened| opened.list(run))))
    }

    /// DEALLOC_GREF: releases `count` pages from `index` on. A page that is still mapped, locally
    /// or by the peer, is freed once it no longer is.
    ///
    /// # Errors
    /// EINVAL for no pages, an index that is not the start of a page, or a run with a page that is
    /// not allocated. Nothing changes then.
    pub fn dealloc_gref(&self, index: Index, count: Pages) -> Result<(), Error> {
        let run = self.with(|opened| opened.run(index, count)).ok_or(NOT_ALLOCATED)?;
        for page in run {
            // Code woken by a parked page may release the next one itself.
            if self.with(|opened| opened.unlist(page)) {
                self.drop_user(page);
            }
        }
        Ok(())
    }

    /// SET_UNMAP_NOTIFY: sets what happens when the last local user releases the page that contains
    /// byte `index`. A later call replaces an earlier one. It fires once, even if the peer still
    /// maps the page.
    ///
    /// # Errors
    /// ENOENT if no page is allocated there, then EINVAL for an unknown action, then EINVAL for
    /// an event on a port that is not open; ENOMEM.
    pub fn set_unmap_notify(&self, index: Index, request: NotifyRequest) -> Result<(), Error> {
        self.with(|opened| {
            let listed = opened.records.get_mut(&index.page()).filter(|record| record.listed);
            let record =
                listed.ok_or(Error::Local(Errno::ENOENT, &"no page is allocated at that index"))?;
            let notify = request.decode(index.in_page())?;
            let event = notify.hold(&self.service.0.events)?;
            self.service.0.table.set_notice(&mut record.granted, notify.byte, event)
        })
    }

    /// Removes a user from a page. Returns what happened to the page.
    pub(super) fn drop_user(&self, page: u64) -> Left {
        let Some(mut granted) = self.with(|opened| opened.drop_user(page)) else {
            return Left::Used;
        };
        self.service.0.table.fire(&mut granted);
        let left = self.service.let_page_go(granted);
        self.with(OpenedAlloc::trim);
        left
    }

    /// Calls `look` with a page.
    ///
    /// # Errors
    /// EINVAL if the page was released; those of `look`.
    pub(super) fn with_page<R>(
        &self,
        page: u64,
        look: impl FnOnce(&X, &Page) -> Result<R, Error>,
    ) -> Result<R, Error> {
        self.with(|opened| {
            let record = opened.records.get(&page).ok_or(NOT_ALLOCATED)?;
            look(&self.service.0.xen, record.granted.page())
        })
    }

    /// Adds a user to each page of a run.
    ///
    /// # Errors
    /// ENOENT for a run with a page that is not allocated.
    pub(super) fn use_run(&self, index: Index, count: Pages) -> Result<Range<u64>, Error> {
        self.with(|opened| {
            let run = opened.run(index, count);
            let run = run.ok_or(Error::Local(Errno::ENOENT, &"no such pages are allocated"))?;
            run.clone().for_each(|page| opened.add_user(page));
            Ok(run)
        })
    }

    fn with<R>(&self, look: impl FnOnce(&mut OpenedAlloc) -> R) -> R {
        let indexed = &mut *self.service.0.indexed.lock();
        look(indexed.get_mut(self.number).expect("open as long as anybody holds it"))
    }
}

impl OpenedAlloc {
    /// Makes room for `pages` more pages.
    ///
    /// # Errors
    /// ENOMEM.
    fn make_room(&mut self, pages: usize) -> Result<(), Error> {
        if self.records.is_empty() {
            // Removed entries leave tombstones, which would make even an empty table grow.
            self.records.clear();
        }
        self.records.try_reserve(pages).map_err(|_| Error::NO_MEMORY)
    }

    /// Lists pages, for which there is room. Returns the page number of the first.
    fn list(&mut self, run: Few<Granted>) -> u64 {
        let first = self.next;
        each_of(run, |granted| {
            self.records.insert(self.next, Record { granted, users: 1, listed: true });
            self.next += 1;
        });
        first
    }

    /// Returns the page numbers of a run, if every page is listed.
    fn run(&self, index: Index, count: Pages) -> Option<Range<u64>> {
        let first = index.page();
        let run = first..first.checked_add(count.0.into())?;
        let listed = |page| self.records.get(&page).is_some_and(|record| record.listed);
        (count.0 > 0 && index.is_of_page() && run.clone().all(listed)).then_some(run)
    }

    /// Unlists a page. Returns whether it was listed.
    fn unlist(&mut self, page: u64) -> bool {
        let record = self.records.get_mut(&page);
        record.is_some_and(|record| core::mem::take(&mut record.listed))
    }

    fn add_user(&mut self, page: u64) {
        if let Some(record) = self.records.get_mut(&page) {
            record.users += 1;
        }
    }

    /// Removes a user from a page. Returns the page if that was its last user.
    fn drop_user(&mut self, page: u64) -> Option<Granted> {
        let record = self.records.get_mut(&page)?;
        record.users -= 1;
        if record.users > 0 {
            return None;
        }
        self.records.remove(&page).map(|record| record.granted)
    }

    /// Frees the memory of an empty table.
    fn trim(&mut self) {
        if self.records.is_empty() {
            self.records = HashMap::new();
        }
    }
}

impl<X: Platform> Clone for IndexDevice<X> {
    fn clone(&self) -> Self {
        self.with(|opened| opened.holders += 1);
        Self { service: self.service.clone(), number: self.number }
    }
}

impl<X: Platform> Drop for IndexDevice<X> {
    fn drop(&mut self) {
        let closed = {
            let indexed = &mut *self.service.0.indexed.lock();
            let Some(opened) = indexed.get_mut(self.number) else {
                return;
            };
            opened.holders -= 1;
            if opened.holders > 0 { None } else { indexed.remove(self.number) }
        };
        // A mapping would have kept the device open, so the pages have no other user.
        for (_, mut record) in closed.into_iter().flat_map(|opened| opened.records) {
            self.service.0.table.fire(&mut record.granted);
            self.service.let_page_go(record.granted);
        }
    }
}

/// Passes each page of a run to `take`.
fn each_of(run: Few<Granted>, mut take: impl FnMut(Granted)) {
    match run {
        Few::One(granted) => take(granted),
        Few::Many(run) => run.into_iter().for_each(take),
    }
}

const TOO_MANY: Error = Error::Local(Errno::ENOSPC, &"more pages than an index space has");
const NOT_ALLOCATED: Error = Error::Local(Errno::EINVAL, &"no such pages are allocated");
