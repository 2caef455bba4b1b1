// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of our own that nobody else maps, for the local side of a grant copy.
//!
//! A copy names memory by frame numbers, so it needs pages whose frames are known; the type rules
//! out any other memory.

use alloc::vec::Vec;

use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::raw::pages;
use crate::shared::{OUTSIDE, Shared, SharedMut};
use crate::{Error, Pages, System};

/// Zeroed pages of our own. Dropping the buffer scrubs and frees them.
#[derive(Debug)]
pub struct Buffer<X: Platform> {
    xen: X,
    pages: Vec<Page>,
}

impl<X: Platform> Buffer<X> {
    /// Allocates a buffer of `pages` pages.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(system: &System<X>, pages: Pages) -> Result<Self, Error> {
        let xen = &system.0;
        let mut buffer = Self { xen: xen.clone(), pages: Vec::new() };
        buffer.pages.try_reserve_exact(pages.0 as usize).map_err(|_| Error::NO_MEMORY)?;
        for _ in 0..pages.0 {
            let mut page = pages::alloc(xen)?;
            // It may be written from now on.
            page.set_clean(false);
            buffer.pages.push(page);
        }
        Ok(buffer)
    }

    /// Returns page number `page`.
    pub(crate) fn page(&self, page: u32) -> Option<&Page> {
        self.pages.get(page as usize)
    }

    /// Returns the page that contains `offset`.
    pub(crate) fn page_at(&self, offset: usize) -> Result<&Page, Error> {
        self.pages.get(offset / PAGE_SIZE).ok_or(OUTSIDE)
    }
}

impl<X: Platform> Shared for Buffer<X> {
    fn size(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let page_of = |page| self.pages.get(page);
        pages::read_run(&self.xen, page_of, || self.size(), offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        pages::load_u32(&self.xen, self.page_at(offset)?, offset % PAGE_SIZE)
    }
}

impl<X: Platform> SharedMut for Buffer<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let page_of = |page| self.pages.get(page);
        pages::write_run(&self.xen, page_of, || self.size(), offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        pages::store_u32(&self.xen, self.page_at(offset)?, offset % PAGE_SIZE, value)
    }
}

impl<X: Platform> Drop for Buffer<X> {
    fn drop(&mut self) {
        self.pages.drain(..).for_each(|page| pages::free(&self.xen, page));
    }
}
