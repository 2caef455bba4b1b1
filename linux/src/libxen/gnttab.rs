// SPDX-License-Identifier: MIT OR Apache-2.0
//! libxengnttab: maps granted pages.

use alloc::vec::Vec;

use super::request_of;
use crate::ioctl::{GntdevFile, access_of};
use drivers::gntdev::{GntDev, Segment};
use drivers::memory::Platform;
use drivers::notify::UnmapNotify;
use drivers::{ClaimedGrant, Errno, Error, Pages, PortNumber};

/// `xengnttab_handle`.
#[derive(Debug)]
pub struct Gnttab<X: Platform>(GntdevFile<X>);

impl<X: Platform> Gnttab<X> {
    /// `xengnttab_open`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(service: &GntDev<X>) -> Result<Self, Error> {
        GntdevFile::open(service).map(Self)
    }

    /// `xengnttab_close`. Mappings stay until they are unmapped.
    ///
    /// # Errors
    /// EBADF if it's already closed.
    pub fn close(&mut self) -> Result<(), Error> {
        self.0.close()
    }

    /// `xengnttab_map_grant_ref`. `prot` has the bits [`crate::ioctl::PROT_READ`] and
    /// [`crate::ioctl::PROT_WRITE`]. Returns the address.
    ///
    /// # Errors
    /// As [`Gnttab::map_grant_refs`].
    pub fn map_grant_ref(&self, domid: u16, gref: u32, prot: u32) -> Result<usize, Error> {
        self.map_domain_grant_refs(domid, &[gref], prot)
    }

    /// `xengnttab_map_grant_refs`: maps gref `i` of domain `i`, contiguously, all or none. Returns
    /// the address of the first.
    ///
    /// # Errors
    /// EBADF once it's closed; EINVAL for no grefs, for lists of different lengths, or if Xen
    /// refuses; ENOMEM. Nothing is left behind.
    pub fn map_grant_refs(&self, domids: &[u16], grefs: &[u32], prot: u32) -> Result<usize, Error> {
        if domids.len() != grefs.len() {
            return Err(Error::Local(Errno::EINVAL, &"a domain for each reference"));
        }
        let grants = domids.iter().zip(grefs);
        self.map(grants.map(|(domid, gref)| ClaimedGrant::new(*domid, *gref)), prot)
    }

    /// `xengnttab_map_domain_grant_refs`: the same for grefs of one domain.
    ///
    /// # Errors
    /// As [`Gnttab::map_grant_refs`].
    pub fn map_domain_grant_refs(
        &self,
        domid: u16,
        grefs: &[u32],
        prot: u32,
    ) -> Result<usize, Error> {
        self.map(grefs.iter().map(|gref| ClaimedGrant::new(domid, *gref)), prot)
    }

    /// `xengnttab_map_grant_ref_notify`: maps one grant. When it's unmapped, clears the byte at
    /// `notify_offset` (none for a page or more) and sends an event through `notify_port`.
    ///
    /// # Errors
    /// As for [`Gnttab::map_grant_refs`], and EINVAL for a port that is not open, or a byte to
    /// clear with a read-only mapping. Then nobody is notified.
    pub fn map_grant_ref_notify(
        &self,
        domid: u16,
        gref: u32,
        prot: u32,
        notify_offset: u32,
        notify_port: Option<PortNumber>,
    ) -> Result<usize, Error> {
        let grants = [ClaimedGrant::new(domid, gref)];
        let (byte, request) = request_of(notify_offset, notify_port);
        let notify = request.decode(byte)?;
        self.0.device()?.map_grants(&grants, access_of(prot), notify)
    }

    /// `xengnttab_unmap`: unmaps everything that one call mapped.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if `addr` and `count` are not those of one mapping; else Xen's
    /// error for a page that it won't unmap, which the service will retry.
    pub fn unmap(&mut self, addr: usize, count: u32) -> Result<(), Error> {
        self.0.munmap_and_remove(addr, Pages(count))
    }

    /// `xengnttab_set_max_grants`.
    ///
    /// # Errors
    /// EBADF once it's closed, or as for [`drivers::gntdev::IndexDevice::set_max_grants`].
    pub fn set_max_grants(&self, count: u32) -> Result<(), Error> {
        self.0.device()?.set_max_grants(count)
    }

    /// `xengnttab_grant_copy`.
    ///
    /// # Errors
    /// EBADF once it's closed, or as for [`drivers::gntdev::IndexDevice::grant_copy`].
    pub fn grant_copy(&self, segments: &mut [Segment<'_, X>]) -> Result<(), Error> {
        self.0.device()?.grant_copy(segments)
    }

    /// Reads from mapped memory.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped; then nothing is read.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(addr, bytes)
    }

    /// Writes to mapped memory.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped or is read-only; then nothing is written.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(addr, bytes)
    }

    fn map(
        &self,
        claims: impl ExactSizeIterator<Item = ClaimedGrant>,
        prot: u32,
    ) -> Result<usize, Error> {
        let device = self.0.device()?;
        let mut grants = Vec::new();
        grants.try_reserve_exact(claims.len()).map_err(|_| Error::NO_MEMORY)?;
        grants.extend(claims);
        device.map_grants(&grants, access_of(prot), UnmapNotify::NONE)
    }
}
