//! Memory of our own that nobody else maps: the local side of a grant copy.
//!
//! Xen knows memory by its machine frames, so a copy needs pages whose frames are known; any
//! other address is refused by the type.

use alloc::vec::Vec;

use crate::Error;
use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::raw::pages;
use crate::shared::{Shared, SharedMut, by_page, check_word};

/// Pages of ours, zeroed. Dropping it scrubs them and gives them back.
#[derive(Debug)]
pub struct Buffer<X: Platform> {
    xen: X,
    pages: Vec<Page>,
}

impl<X: Platform> Buffer<X> {
    /// A buffer of `pages` pages.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(xen: &X, pages: u32) -> Result<Self, Error> {
        let mut buffer = Self { xen: xen.clone(), pages: Vec::new() };
        buffer.pages.try_reserve_exact(pages as usize).map_err(|_| Error::NO_MEMORY)?;
        for _ in 0..pages {
            let mut page = xen.alloc_page().ok_or(Error::NO_MEMORY)?;
            pages::scrub(xen, &mut page);
            // From now on it may be written.
            page.set_clean(false);
            buffer.pages.push(page);
        }
        Ok(buffer)
    }

    /// One of its pages.
    pub(crate) fn page(&self, page: u32) -> &Page {
        &self.pages[page as usize]
    }
}

impl<X: Platform> Shared for Buffer<X> {
    fn size(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        let mut rest = bytes;
        for (page, in_page, len) in by_page(offset, rest.len()) {
            let (now, later) = rest.split_at_mut(len);
            pages::read(&self.xen, self.page(page), in_page, now);
            rest = later;
        }
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        check_word(self.size(), offset)?;
        let page = self.page((offset / PAGE_SIZE) as u32);
        Ok(pages::load_u32(&self.xen, page, offset % PAGE_SIZE))
    }
}

impl<X: Platform> SharedMut for Buffer<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        let mut rest = bytes;
        for (page, in_page, len) in by_page(offset, rest.len()) {
            let (now, later) = rest.split_at(len);
            pages::write(&self.xen, self.page(page), in_page, now);
            rest = later;
        }
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        check_word(self.size(), offset)?;
        let page = self.page((offset / PAGE_SIZE) as u32);
        pages::store_u32(&self.xen, page, offset % PAGE_SIZE, value);
        Ok(())
    }
}

impl<X: Platform> Drop for Buffer<X> {
    fn drop(&mut self) {
        for mut page in self.pages.drain(..) {
            pages::scrub(&self.xen, &mut page);
            self.xen.free_page(page);
        }
    }
}
