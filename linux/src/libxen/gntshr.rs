//! libxengntshr: shares pages of ours.

use super::notify_of;
use crate::ioctl::{GntallocFile, MAP_SHARED, PROT_READ, PROT_WRITE};
use drivers::gntalloc::{FLAG_WRITABLE, GntAlloc};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::notify::UnmapNotify;
use drivers::{Errno, Error, GrantRef, PortNumber};

/// `xengntshr_handle`.
#[derive(Debug)]
pub struct Gntshr<X: Platform>(GntallocFile<X>);

impl<X: Platform> Gntshr<X> {
    /// `xengntshr_open`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(device: &GntAlloc<X>) -> Result<Self, Error> {
        GntallocFile::open(device).map(Self)
    }

    /// `xengntshr_close`. What is shared stays so until it's unshared.
    ///
    /// # Errors
    /// EBADF if it is closed already.
    pub fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }

    /// `xengntshr_share_pages`: zeroed pages, a reference for each place in `grefs`. Returns the
    /// address.
    ///
    /// # Errors
    /// EBADF once it's closed, EINVAL for no pages, and as
    /// [`drivers::gntalloc::Handle::alloc_gref`]. Nothing is left behind.
    pub fn share_pages(
        &mut self,
        domid: u16,
        grefs: &mut [GrantRef],
        writable: bool,
    ) -> Result<usize, Error> {
        self.share(domid, grefs, writable, 0, UnmapNotify::default())
    }

    /// `xengntshr_share_page_notify`: one page; the byte at `notify_offset` (none for a page or
    /// more) is cleared and `notify_port` rung when it's unshared. Returns the address and the
    /// reference.
    ///
    /// # Errors
    /// As [`Gntshr::share_pages`], and EINVAL for a port that is not open.
    pub fn share_page_notify(
        &mut self,
        domid: u16,
        writable: bool,
        notify_offset: u32,
        notify_port: Option<PortNumber>,
    ) -> Result<(usize, GrantRef), Error> {
        let (byte, notify) = notify_of(notify_offset, notify_port);
        let mut grefs = [GrantRef(0)];
        let addr = self.share(domid, &mut grefs, writable, byte, notify)?;
        Ok((addr, grefs[0]))
    }

    /// `xengntshr_unshare`: all that one call shared. A page that the peer maps goes once it's
    /// unmapped there.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if `addr` and `count` are not those of one mapping.
    pub fn unshare(&mut self, addr: usize, count: u32) -> Result<(), Error> {
        self.0.munmap(addr, bytes(count))
    }

    /// A load from memory that is shared.
    ///
    /// # Errors
    /// EFAULT if part of the range is not; nothing is read then.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(addr, bytes)
    }

    /// A store to memory that is shared.
    ///
    /// # Errors
    /// EFAULT if part of the range is not; nothing is written then.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(addr, bytes)
    }

    fn share(
        &mut self,
        domid: u16,
        grefs: &mut [GrantRef],
        writable: bool,
        byte: usize,
        notify: UnmapNotify,
    ) -> Result<usize, Error> {
        let handle = self.0.handle()?;
        if grefs.is_empty() {
            return Err(Error::Invalid(Errno::EINVAL, "at least 1 page can be shared"));
        }
        let flags = if writable { FLAG_WRITABLE } else { 0 };
        let index = handle.alloc_gref(domid, flags, grefs)?;
        let length = bytes(grefs.len() as u32);
        let asked = handle.set_unmap_notify(index + byte as u64, notify);
        let mapped =
            asked.and_then(|()| self.0.mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, index));
        let handle = self.0.handle()?;
        if mapped.is_err() {
            // There was nothing to be told of the end of.
            handle.set_unmap_notify(index, UnmapNotify::default())?;
        }
        // From here on the mapping alone keeps the pages; without one they go.
        handle.dealloc_gref(index, grefs.len() as u32)?;
        mapped
    }
}

fn bytes(count: u32) -> u64 {
    u64::from(count) * PAGE_SIZE as u64
}
