//! The typed face: pages granted to one peer, owned by one value.
//!
//! What the seed answers with EBUSY or EINVAL can't be written here: an [`Export`] is ended by
//! consuming it, and a grant that the peer still maps hands the export back. Dropping one lets go
//! of it: pages that the peer maps are parked.

use super::handle::BYTES;
use super::{GntAlloc, Handle, Left, Record, Records};
use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::notify::UnmapNotify;
use crate::shared::{Shared, SharedMut, check_word};
use crate::{Access, DomId, Errno, Error, GrantRef, PeerState};

/// Granted pages, and the right to use them here.
///
/// The peer may write to a page at any moment while it's granted writable, so nothing is lent:
/// bytes are copied in and out.
#[derive(Debug)]
pub struct Export<X: Platform> {
    handle: Handle<X>,
    /// In pages.
    first: u64,
    pages: u32,
    peer: DomId,
    access: Access,
}

/// The grant can't end: the peer maps some of it. Everything is as it was.
#[derive(Debug)]
pub struct Busy<T>(pub T);

impl<X: Platform> Handle<X> {
    /// Allocates `pages` zeroed pages, at least 1, and grants them to `peer`.
    ///
    /// # Errors
    /// EINVAL for no pages; ENOSPC beyond the limit, then when the grant table is full; ENOMEM.
    pub fn alloc(&self, peer: DomId, pages: u32, access: Access) -> Result<Export<X>, Error> {
        if pages == 0 {
            return Err(Error::Invalid(Errno::EINVAL, "at least 1 page can be shared"));
        }
        let index = self.alloc_run(peer, access, pages, |_, _| ())?;
        Ok(Export { handle: self.clone(), first: index / BYTES, pages, peer, access })
    }
}

impl<X: Platform> Export<X> {
    /// Who it's granted to.
    pub fn peer(&self) -> DomId {
        self.peer
    }

    /// How many pages it has.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// What the peer may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The references, in page order. Pages that were deallocated by their index are left out.
    pub fn grefs(&self) -> impl Iterator<Item = GrantRef> {
        (0..self.pages).filter_map(|page| self.with(page, |record| record.gref).ok())
    }

    /// What the peer does with each page, in page order.
    pub fn states(&self) -> impl Iterator<Item = PeerState> {
        let table = &self.service().0.table;
        (0..self.pages)
            .filter_map(|page| self.with(page, |record| table.peer_state(record.gref)).ok())
    }

    /// Whether the peer maps none of the pages now.
    pub fn is_idle(&self) -> bool {
        self.states().all(|state| state == PeerState::Idle)
    }

    /// Sets what is to happen when the export is let go of: the byte at `offset` cleared and an
    /// event sent, as `notify` says. Each page has one notification; a later call for the same
    /// page replaces it.
    ///
    /// # Errors
    /// As [`Handle::set_unmap_notify`].
    pub fn set_notify(&self, offset: usize, notify: UnmapNotify) -> Result<(), Error> {
        self.check(offset, 1)?;
        self.handle.set_unmap_notify(self.first * BYTES + offset as u64, notify)
    }

    /// Ends all its grants and frees its pages, or none: if the peer maps one, the export comes
    /// back as it was.
    ///
    /// # Errors
    /// [`Busy`], with the export.
    pub fn end(self) -> Result<(), Busy<Self>> {
        if self.try_suspend_all() {
            // Every grant is invalid: nothing can be parked.
            return Ok(());
        }
        Err(Busy(self))
    }

    /// Lets go of it: pages that the peer doesn't map are freed, the others parked. Returns how
    /// many are parked.
    pub fn release(mut self) -> u32 {
        self.let_go()
    }

    fn let_go(&mut self) -> u32 {
        let records = &mut self.service().records();
        let run = self.first..self.first + u64::from(self.pages);
        // Pages that were deallocated by their index are gone already.
        let parked = run.filter(|page| {
            let listed = records.get((self.handle.number, *page)).is_some_and(|page| page.listed);
            listed && self.handle.unlist(records, *page) == Left::Parked
        });
        parked.count() as u32
    }

    /// Makes every grant invalid, or leaves all as they were.
    fn try_suspend_all(&self) -> bool {
        let table = &self.service().0.table;
        // A look first: a page is taken from an honest peer only if all can be.
        if !self.is_idle() {
            return false;
        }
        for page in 0..self.pages {
            let ended = self.with(page, |record| table.try_suspend(record.gref));
            if ended == Ok(false) {
                for undo in 0..page {
                    let _ = self.with(undo, |record| table.resume(record.gref, self.access));
                }
                return false;
            }
        }
        true
    }

    /// The service whose pages it has.
    pub(crate) fn service(&self) -> &GntAlloc<X> {
        &self.handle.service
    }

    /// One of its pages, as long as the service's records are held.
    pub(crate) fn page<'r>(&self, records: &'r Records<X>, page: u32) -> Option<&'r Page> {
        let key = (self.handle.number, self.first + u64::from(page));
        records.get(key).map(|record| &record.page)
    }

    /// Looks at a page's record.
    fn with<R>(&self, page: u32, look: impl FnOnce(&Record<X>) -> R) -> Result<R, Error> {
        self.handle.with_page(self.first + u64::from(page), look)
    }
}

impl<X: Platform> Shared for Export<X> {
    fn size(&self) -> usize {
        self.pages as usize * PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.read_pages(self.first, offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        check_word(self.size(), offset)?;
        self.handle.load_u32(self.first, offset)
    }
}

impl<X: Platform> SharedMut for Export<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.write_pages(self.first, offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        check_word(self.size(), offset)?;
        self.handle.store_u32(self.first, offset, value)
    }
}

impl<X: Platform> Drop for Export<X> {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<T> core::fmt::Display for Busy<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the peer still maps the page")
    }
}
