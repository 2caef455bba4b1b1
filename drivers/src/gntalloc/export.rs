// SPDX-License-Identifier: MIT OR Apache-2.0
//! The typed device: pages granted to one peer, owned by one value.
//!
//! The mistakes that the seed answers with EBUSY or EINVAL can't be expressed here: ending an
//! [`Export`] consumes it, and hands it back if the peer still maps it. Dropping one releases it:
//! pages that the peer maps are parked.

use core::fmt;

use super::GntAlloc;
use crate::few::Few;
use crate::grant_table::Granted;
use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::notify::UnmapNotify;
use crate::raw::pages;
use crate::shared::{OUTSIDE, Shared, SharedBits, SharedMut};
use crate::{Access, DomId, Errno, Error, GrantRef, Pages, PeerState};

/// An open gntalloc device whose grants are values.
#[derive(Debug)]
pub struct Device<X: Platform>(GntAlloc<X>);

/// Granted pages, and the right to use them locally.
///
/// The peer may write to a writable page at any moment, so nothing here hands out a reference:
/// bytes are copied in and out.
#[derive(Debug)]
pub struct Export<X: Platform> {
    service: GntAlloc<X>,
    /// Empty once it is released.
    run: Few<Granted>,
    peer: DomId,
    access: Access,
}

/// The grant can't end because the peer maps some of it. Nothing has changed.
#[derive(Debug)]
pub struct Busy<T>(pub T);

impl<X: Platform> GntAlloc<X> {
    /// Opens a device whose grants are values. The device itself holds nothing.
    pub fn open(&self) -> Device<X> {
        Device(self.clone())
    }
}

impl<X: Platform> Device<X> {
    /// Allocates `pages` zeroed pages, at least 1, and grants them to `peer`.
    ///
    /// # Errors
    /// EINVAL for no pages; ENOSPC beyond the limit, then if the grant table is full; ENOMEM.
    pub fn alloc(&self, peer: DomId, pages: Pages, access: Access) -> Result<Export<X>, Error> {
        if pages.0 == 0 {
            return Err(Error::Local(Errno::EINVAL, &"at least 1 page can be shared"));
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
    /// Returns the domain it is granted to.
    pub fn peer(&self) -> DomId {
        self.peer
    }

    /// Returns its number of pages.
    pub fn pages(&self) -> Pages {
        Pages(self.run.len() as u32)
    }

    /// Returns what the peer may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns the references, in page order.
    pub fn grefs(&self) -> impl Iterator<Item = GrantRef> {
        self.run.iter().map(Granted::gref)
    }

    /// Returns the reference of its first page; for a one-page export that is the only one.
    pub fn gref(&self) -> GrantRef {
        self.run.first().map_or(GrantRef(0), Granted::gref)
    }

    /// Returns what the peer does with each page, in page order.
    pub fn states(&self) -> impl Iterator<Item = PeerState> {
        self.run.iter().map(|granted| self.service.0.table.peer_state(granted))
    }

    /// Whether the peer maps none of the pages at the moment.
    pub fn is_idle(&self) -> bool {
        self.states().all(|state| state == PeerState::Idle)
    }

    /// Sets what happens when the export is released, whether or not the peer still maps it. A
    /// later call replaces an earlier one.
    ///
    /// # Errors
    /// EINVAL for a byte outside the export, then for an event on a port that is not open; ENOMEM.
    pub fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        let byte = notify.byte.unwrap_or(0);
        let at = byte / PAGE_SIZE;
        let granted = self.run.get_mut(at).ok_or(OUTSIDE)?;
        let event = notify.hold(&self.service.0.events)?;
        let table = &self.service.0.table;
        table.set_notice(granted, notify.byte, event)?;
        // The export has one notice, so forget that of any other page.
        for (page, granted) in self.run.iter_mut().enumerate() {
            if page != at {
                table.forget_notice(granted);
            }
        }
        Ok(())
    }

    /// Ends all its grants and frees its pages, or changes nothing: if the peer maps a page, the
    /// export comes back unchanged.
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

    /// Frees an export whose grants are all suspended, so nothing can be parked.
    fn free(mut self) {
        let run = core::mem::take(&mut self.run);
        self.service.free_run(run);
    }

    /// Releases it: frees the pages that the peer doesn't map and parks the others. Returns how
    /// many are parked.
    pub fn release(mut self) -> Pages {
        self.let_go()
    }

    fn let_go(&mut self) -> Pages {
        if self.run.is_empty() {
            return Pages(0);
        }
        Pages(self.service.let_go(core::mem::take(&mut self.run)))
    }

    /// Suspends every grant, or none. Returns whether it did.
    fn suspend_all(&self) -> bool {
        let table = &self.service.0.table;
        // Look first, so that an honest peer loses a page only if all can be ended. A single page
        // needs no look before its exchange.
        if self.run.len() > 1 && !self.is_idle() {
            return false;
        }
        let refused = self.run.iter().position(|granted| !table.suspend(granted));
        for granted in self.run.iter().take(refused.unwrap_or(0)) {
            table.resume(granted, self.access);
        }
        refused.is_none()
    }

    /// Returns page number `page`.
    pub(crate) fn page(&self, page: u32) -> Option<&Page> {
        self.run.at(page as usize).map(Granted::page)
    }

    /// Returns the page that contains `offset`.
    pub(crate) fn page_at(&self, offset: usize) -> Result<&Page, Error> {
        self.run.at(offset / PAGE_SIZE).map(Granted::page).ok_or(OUTSIDE)
    }
}

impl<X: Platform> Shared for Export<X> {
    fn size(&self) -> usize {
        self.pages().bytes()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let page_of = |page| self.run.at(page).map(Granted::page);
        pages::read_run(&self.service.0.xen, page_of, || self.size(), offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        pages::load_u32(&self.service.0.xen, self.page_at(offset)?, offset % PAGE_SIZE)
    }
}

impl<X: Platform> SharedMut for Export<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let page_of = |page| self.run.at(page).map(Granted::page);
        pages::write_run(&self.service.0.xen, page_of, || self.size(), offset, bytes)
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

/// Allows `?`: the returned export is dropped, and its pages are parked.
impl<T> From<Busy<T>> for Error {
    fn from(_: Busy<T>) -> Self {
        Error::Local(Errno::EBUSY, &"the peer still maps the page")
    }
}
