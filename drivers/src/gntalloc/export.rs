// SPDX-License-Identifier: MIT OR Apache-2.0
//! The typed device: pages granted to one peer, owned by one value.
//!
//! What the seed answers with EBUSY or EINVAL can't be written here: an [`Export`] is ended by
//! consuming it, and a grant that the peer still maps hands the export back. Dropping one lets go
//! of it: pages that the peer maps are parked.

use alloc::vec::Vec;
use core::fmt;

use super::GntAlloc;
use crate::grant_table::Granted;
use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::notify::UnmapNotify;
use crate::raw::pages;
use crate::shared::{OUTSIDE, Shared, SharedBits, SharedMut};
use crate::{Access, DomId, Errno, Error, GrantRef, Pages, PeerState};

/// An opened gntalloc, whose grants are values.
#[derive(Debug)]
pub struct Device<X: Platform>(GntAlloc<X>);

/// Granted pages, and the right to use them here.
///
/// The peer may write to a page at any moment while it's granted writable, so nothing is lent:
/// bytes are copied in and out.
#[derive(Debug)]
pub struct Export<X: Platform> {
    service: GntAlloc<X>,
    /// Empty once it was let go of.
    run: Vec<Granted>,
    peer: DomId,
    access: Access,
}

/// The grant can't end: the peer maps some of it. Everything is as it was.
#[derive(Debug)]
pub struct Busy<T>(pub T);

impl<X: Platform> GntAlloc<X> {
    /// A device whose grants are values. It holds nothing by itself.
    pub fn open(&self) -> Device<X> {
        Device(self.clone())
    }
}

impl<X: Platform> Device<X> {
    /// Allocates so many zeroed pages, at least 1, and grants them to `peer`.
    ///
    /// # Errors
    /// EINVAL for no pages; ENOSPC beyond the limit, then when the grant table is full; ENOMEM.
    pub fn alloc(&self, peer: DomId, pages: Pages, access: Access) -> Result<Export<X>, Error> {
        if pages.0 == 0 {
            return Err(Error::Local(Errno::EINVAL, "at least 1 page can be shared"));
        }
        let run = self.0.grant_run(peer, pages, access, Pages(1))?;
        Ok(Export { service: self.0.clone(), run, peer, access })
    }
}

impl<X: Platform> Clone for Device<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<X: Platform> Export<X> {
    /// Who it's granted to.
    pub fn peer(&self) -> DomId {
        self.peer
    }

    /// How many pages it has.
    pub fn pages(&self) -> Pages {
        Pages(self.run.len() as u32)
    }

    /// What the peer may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The references, in page order.
    pub fn grefs(&self) -> impl Iterator<Item = GrantRef> {
        self.run.iter().map(Granted::gref)
    }

    /// The reference of its first page, which is all of them for an export of one.
    pub fn gref(&self) -> GrantRef {
        self.run.first().map_or(GrantRef(0), Granted::gref)
    }

    /// What the peer does with each page, in page order.
    pub fn states(&self) -> impl Iterator<Item = PeerState> {
        self.run.iter().map(|granted| self.service.0.table.peer_state(granted))
    }

    /// Whether the peer maps none of the pages now.
    pub fn is_idle(&self) -> bool {
        self.states().all(|state| state == PeerState::Idle)
    }

    /// Sets what is to happen when the export is let go of, whatever the peer does then. A later
    /// call takes the place of an earlier one.
    ///
    /// # Errors
    /// EINVAL for a byte outside, then for an event on a port that is not open; ENOMEM.
    pub fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        let byte = notify.byte.unwrap_or(0);
        let at = byte / PAGE_SIZE;
        let granted = self.run.get_mut(at).ok_or(OUTSIDE)?;
        let event = notify.hold(&self.service.0.events)?;
        let table = &self.service.0.table;
        table.set_notice(granted, notify.byte, event)?;
        // One notice for all of it: what another page had is replaced.
        for (page, granted) in self.run.iter_mut().enumerate() {
            if page != at {
                table.forget_notice(granted);
            }
        }
        Ok(())
    }

    /// Ends all its grants and frees its pages, or none: if the peer maps one, the export comes
    /// back as it was.
    ///
    /// # Errors
    /// [`Busy`], with the export.
    pub fn end(self) -> Result<(), Busy<Self>> {
        if self.suspend_all() {
            self.free();
            return Ok(());
        }
        Err(Busy(self))
    }

    /// Every grant is invalid: nothing can be parked.
    fn free(mut self) {
        let run = self.take_run();
        self.service.free_run(run);
    }

    /// Lets go of it: pages that the peer doesn't map are freed, the others parked. Returns how
    /// many are parked.
    pub fn release(mut self) -> Pages {
        self.let_go()
    }

    fn let_go(&mut self) -> Pages {
        let run = self.take_run();
        if run.is_empty() {
            return Pages(0);
        }
        Pages(self.service.let_go(run))
    }

    /// Its pages, once whoever is to be told was told.
    fn take_run(&mut self) -> Vec<Granted> {
        let mut run = core::mem::take(&mut self.run);
        run.iter_mut().for_each(|granted| self.service.0.table.fire(granted));
        run
    }

    /// Makes every grant invalid, or leaves all as they were.
    fn suspend_all(&self) -> bool {
        let table = &self.service.0.table;
        // A look first: a page is taken from an honest peer only if all can be.
        if !self.is_idle() {
            return false;
        }
        let refused = self.run.iter().position(|granted| !table.suspend(granted));
        for granted in self.run.iter().take(refused.unwrap_or(0)) {
            table.resume(granted, self.access);
        }
        refused.is_none()
    }

    /// One of its pages.
    pub(crate) fn page(&self, page: u32) -> Option<&Page> {
        self.run.get(page as usize).map(Granted::page)
    }

    /// The page that `offset` lies in.
    pub(crate) fn page_at(&self, offset: usize) -> Result<&Page, Error> {
        self.run.get(offset / PAGE_SIZE).map(Granted::page).ok_or(OUTSIDE)
    }
}

impl<X: Platform> Shared for Export<X> {
    fn size(&self) -> usize {
        self.pages().bytes()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        pages::read_run(&self.service.0.xen, |page| self.page(page), offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        pages::load_u32(&self.service.0.xen, self.page_at(offset)?, offset % PAGE_SIZE)
    }
}

impl<X: Platform> SharedMut for Export<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        pages::write_run(&self.service.0.xen, |page| self.page(page), offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        pages::store_u32(&self.service.0.xen, self.page_at(offset)?, offset % PAGE_SIZE, value)
    }
}

impl<X: Platform> SharedBits for Export<X> {
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        pages::fetch_or_u8(&self.service.0.xen, self.page_at(offset)?, offset % PAGE_SIZE, bits)
    }

    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        pages::fetch_and_u8(&self.service.0.xen, self.page_at(offset)?, offset % PAGE_SIZE, bits)
    }
}

impl<X: Platform> Drop for Export<X> {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<T> fmt::Display for Busy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer still maps the page")
    }
}

impl<T: fmt::Debug> core::error::Error for Busy<T> {}

/// For `?`: the export that comes back is dropped, and its pages park.
impl<T> From<Busy<T>> for Error {
    fn from(_: Busy<T>) -> Self {
        Error::Local(Errno::EBUSY, "the peer still maps the page")
    }
}
