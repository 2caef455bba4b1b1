// SPDX-License-Identifier: MIT OR Apache-2.0
//! A local mapping of granted pages, as mmap on the index device makes one.

use core::ops::Range;

use super::IndexDevice;
use crate::memory::{PAGE_SIZE, Platform};
use crate::raw::pages;
use crate::shared::{OUTSIDE, Shared, SharedMut, by_page, check_word};
use crate::{Errno, Error, Index, Pages};

/// A local user of some of a device's pages. Dropping it is munmap: pages without another local
/// user are released.
#[derive(Debug)]
pub struct LocalMapping<X: Platform> {
    device: IndexDevice<X>,
    run: Range<u64>,
}

impl<X: Platform> IndexDevice<X> {
    /// mmap: adds a local user to `count` pages from `index` on, which are not freed before it is
    /// dropped.
    ///
    /// # Errors
    /// EINVAL unless `shared`, then ENOENT for a run with a page that is not allocated.
    pub fn mmap(&self, index: Index, count: Pages, shared: bool) -> Result<LocalMapping<X>, Error> {
        if !shared {
            return Err(Error::Local(Errno::EINVAL, &"a mapping of gntalloc must be shared"));
        }
        let run = self.use_run(index, count)?;
        Ok(LocalMapping { device: self.clone(), run })
    }
}

impl<X: Platform> LocalMapping<X> {
    /// Returns its number of pages.
    pub fn pages(&self) -> Pages {
        Pages((self.run.end - self.run.start) as u32)
    }

    /// Returns the number of the page that contains `offset`.
    fn page_at(&self, offset: usize) -> u64 {
        self.run.start + (offset / PAGE_SIZE) as u64
    }
}

impl<X: Platform> Shared for LocalMapping<X> {
    fn size(&self) -> usize {
        self.pages().bytes()
    }

    fn read(&self, offset: usize, mut bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        for (page, in_page, len) in by_page(offset, bytes.len()) {
            let now = bytes.split_off_mut(..len).ok_or(OUTSIDE)?;
            let page = self.run.start + u64::from(page);
            self.device.with_page(page, |xen, page| pages::read(xen, page, in_page, now))?;
        }
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        check_word(self.size(), offset)?;
        let load = |xen: &X, page: &_| pages::load_u32(xen, page, offset % PAGE_SIZE);
        self.device.with_page(self.page_at(offset), load)
    }
}

impl<X: Platform> SharedMut for LocalMapping<X> {
    fn write(&self, offset: usize, mut bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        for (page, in_page, len) in by_page(offset, bytes.len()) {
            let now = bytes.split_off(..len).ok_or(OUTSIDE)?;
            let page = self.run.start + u64::from(page);
            self.device.with_page(page, |xen, page| pages::write(xen, page, in_page, now))?;
        }
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        check_word(self.size(), offset)?;
        let store = |xen: &X, page: &_| pages::store_u32(xen, page, offset % PAGE_SIZE, value);
        self.device.with_page(self.page_at(offset), store)
    }
}

impl<X: Platform> Drop for LocalMapping<X> {
    fn drop(&mut self) {
        for page in self.run.clone() {
            self.device.drop_user(page);
        }
    }
}
