// SPDX-License-Identifier: MIT OR Apache-2.0
//! libxengntshr: shares our own pages.

use super::request_of;
use crate::ioctl::{GntallocFile, MAP_SHARED, PROT_READ, PROT_WRITE};
use drivers::gntalloc::{FLAG_WRITABLE, GntAlloc};
use drivers::memory::Platform;
use drivers::notify::NotifyRequest;
use drivers::{Errno, Error, GrantRef, Index, Pages, PortNumber};

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

    /// `xengntshr_close`. Shared pages stay shared until they are unshared.
    ///
    /// # Errors
    /// EBADF if it's already closed.
    pub fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }

    /// `xengntshr_share_pages`: shares a zeroed page for each element of `grefs`, and writes its
    /// gref there. Returns the address.
    ///
    /// # Errors
    /// EBADF once it's closed, EINVAL for no pages, or as for
    /// [`drivers::gntalloc::IndexDevice::alloc_gref`]. Nothing is left behind.
    pub fn share_pages(
        &mut self,
        domid: u16,
        grefs: &mut [GrantRef],
        writable: bool,
    ) -> Result<usize, Error> {
        self.share(domid, grefs, writable, 0, NotifyRequest::default())
    }

    /// `xengntshr_share_page_notify`: shares one page. When it's unshared, clears the byte at
    /// `notify_offset` (none for a page or more) and sends an event through `notify_port`. Returns
    /// the address and the gref.
    ///
    /// # Errors
    /// As for [`Gntshr::share_pages`], and EINVAL for a port that is not open.
    pub fn share_page_notify(
        &mut self,
        domid: u16,
        writable: bool,
        notify_offset: u32,
        notify_port: Option<PortNumber>,
    ) -> Result<(usize, GrantRef), Error> {
        let (byte, request) = request_of(notify_offset, notify_port);
        let mut grefs = [GrantRef(0)];
        let addr = self.share(domid, &mut grefs, writable, byte, request)?;
        Ok((addr, grefs[0]))
    }

    /// `xengntshr_unshare`: unshares everything that one call shared. A page that the peer maps
    /// goes once the peer unmaps it.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if `addr` and `count` are not those of one mapping.
    pub fn unshare(&mut self, addr: usize, count: u32) -> Result<(), Error> {
        self.0.munmap(addr, Pages(count).bytes() as u64)
    }

    /// Reads from shared memory.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't shared; then nothing is read.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(addr, bytes)
    }

    /// Writes to shared memory.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't shared; then nothing is written.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(addr, bytes)
    }

    fn share(
        &mut self,
        domid: u16,
        grefs: &mut [GrantRef],
        writable: bool,
        byte: usize,
        request: NotifyRequest,
    ) -> Result<usize, Error> {
        let device = self.0.device()?;
        if grefs.is_empty() {
            return Err(Error::Local(Errno::EINVAL, &"at least 1 page can be shared"));
        }
        let flags = if writable { FLAG_WRITABLE } else { 0 };
        let index = device.alloc_gref(domid, flags, grefs)?;
        let length = Pages(grefs.len() as u32).bytes() as u64;
        let asked = device.set_unmap_notify(Index(index.0 + byte as u64), request);
        let mapped =
            asked.and_then(|()| self.0.mmap(length, PROT_READ | PROT_WRITE, MAP_SHARED, index.0));
        let device = self.0.device()?;
        if mapped.is_err() {
            // Nothing was mapped, so there is no end to announce.
            device.set_unmap_notify(index, NotifyRequest::default())?;
        }
        // From now on only the mapping keeps the pages; if there is none, they go.
        device.dealloc_gref(index, Pages(grefs.len() as u32))?;
        mapped
    }
}
