//! A local user of granted pages, as mmap makes one.

use core::ops::Range;

use super::Handle;
use super::handle::NOT_ALLOCATED;
use super::records::Record;
use crate::Error;
use crate::memory::{PAGE_SIZE, Platform};
use crate::raw::pages;
use crate::shared::{Shared, SharedMut, by_page, check_word};

/// A local user of some pages of a handle. Dropping it is munmap: pages that nobody else here
/// uses are let go of.
#[derive(Debug)]
pub struct LocalMapping<X: Platform> {
    handle: Handle<X>,
    run: Range<u64>,
}

impl<X: Platform> LocalMapping<X> {
    /// For pages that count it as a user already.
    pub(super) fn new(handle: Handle<X>, run: Range<u64>) -> Self {
        Self { handle, run }
    }

    /// How many pages it has.
    pub fn pages(&self) -> u32 {
        (self.run.end - self.run.start) as u32
    }
}

impl<X: Platform> Handle<X> {
    /// Copies bytes out of the pages from page `first` on; the range is one of theirs.
    ///
    /// # Errors
    /// EINVAL for a page that was let go of.
    pub(super) fn read_pages(
        &self,
        first: u64,
        offset: usize,
        bytes: &mut [u8],
    ) -> Result<(), Error> {
        let mut rest = bytes;
        for (page, in_page, len) in by_page(offset, rest.len()) {
            let (now, later) = rest.split_at_mut(len);
            self.with_page(first + u64::from(page), |record| {
                pages::read(&self.service.0.xen, &record.page, in_page, now);
            })?;
            rest = later;
        }
        Ok(())
    }

    /// Copies bytes into the pages from page `first` on; the range is one of theirs.
    ///
    /// # Errors
    /// EINVAL for a page that was let go of.
    pub(super) fn write_pages(&self, first: u64, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        for (page, in_page, len) in by_page(offset, rest.len()) {
            let (now, later) = rest.split_at(len);
            self.with_page(first + u64::from(page), |record| {
                pages::write(&self.service.0.xen, &record.page, in_page, now);
            })?;
            rest = later;
        }
        Ok(())
    }

    /// Reads the aligned word at `offset` from page `first` on.
    ///
    /// # Errors
    /// EINVAL for a page that was let go of.
    pub(super) fn load_u32(&self, first: u64, offset: usize) -> Result<u32, Error> {
        self.with_page(first + (offset / PAGE_SIZE) as u64, |record| {
            pages::load_u32(&self.service.0.xen, &record.page, offset % PAGE_SIZE)
        })
    }

    /// Writes the aligned word at `offset` from page `first` on.
    ///
    /// # Errors
    /// EINVAL for a page that was let go of.
    pub(super) fn store_u32(&self, first: u64, offset: usize, value: u32) -> Result<(), Error> {
        self.with_page(first + (offset / PAGE_SIZE) as u64, |record| {
            pages::store_u32(&self.service.0.xen, &record.page, offset % PAGE_SIZE, value);
        })
    }

    /// Looks at a page's record.
    pub(super) fn with_page<R>(
        &self,
        page: u64,
        look: impl FnOnce(&Record<X>) -> R,
    ) -> Result<R, Error> {
        self.service.records().get((self.number, page)).map(look).ok_or(NOT_ALLOCATED)
    }
}

impl<X: Platform> Shared for LocalMapping<X> {
    fn size(&self) -> usize {
        self.pages() as usize * PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.read_pages(self.run.start, offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        check_word(self.size(), offset)?;
        self.handle.load_u32(self.run.start, offset)
    }
}

impl<X: Platform> SharedMut for LocalMapping<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.write_pages(self.run.start, offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        check_word(self.size(), offset)?;
        self.handle.store_u32(self.run.start, offset, value)
    }
}

impl<X: Platform> Drop for LocalMapping<X> {
    fn drop(&mut self) {
        let records = &mut self.handle.service.records();
        for page in self.run.clone() {
            self.handle.drop_user(records, page);
        }
    }
}
