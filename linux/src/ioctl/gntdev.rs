// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev/xen/gntdev` as a file.

use alloc::vec::Vec;
use core::mem::offset_of;

use super::arg::Arg;
use super::{CLOSED, MAP_SHARED, NOT_A_MAPPING, UNKNOWN, access_of, copy, pages_of};
use drivers::gntdev::{GntDev, IndexDevice};
use drivers::memory::Platform;
use drivers::notify::NotifyRequest;
use drivers::{ClaimedGrant, Error, Index, Pages, PortNumber};
use xen_sys::linux::gntdev::{
    IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_GRANT_COPY, IOCTL_GNTDEV_MAP_GRANT_REF,
    IOCTL_GNTDEV_SET_MAX_GRANTS, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, IOCTL_GNTDEV_UNMAP_GRANT_REF,
    IoctlGntdevGetOffsetForVaddr, IoctlGntdevGrantCopy, IoctlGntdevGrantRef,
    IoctlGntdevMapGrantRef, IoctlGntdevSetMaxGrants, IoctlGntdevUnmapGrantRef,
    IoctlGntdevUnmapNotify,
};

/// An open gntdev file and its mappings.
#[derive(Debug)]
pub struct GntdevFile<X: Platform> {
    /// `None` once it's closed and nothing is mapped any more.
    device: Option<IndexDevice<X>>,
    closed: bool,
}

impl<X: Platform> GntdevFile<X> {
    /// Opens gntdev, as `open` does.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(service: &GntDev<X>) -> Result<Self, Error> {
        Ok(Self { device: Some(service.open_indexed()?), closed: false })
    }

    /// Returns the device behind the file.
    ///
    /// # Errors
    /// EBADF once it's closed.
    pub fn device(&self) -> Result<&IndexDevice<X>, Error> {
        self.device.as_ref().filter(|_| !self.closed).ok_or(CLOSED)
    }

    /// Returns the device of what is still mapped, whether the file is closed or not.
    pub(super) fn mapped(&self) -> Result<&IndexDevice<X>, Error> {
        self.device.as_ref().ok_or(Error::BAD_ADDRESS)
    }

    /// Carries out an ioctl. `bytes` is the command's structure, in and out.
    ///
    /// # Errors
    /// EBADF once it's closed, ENOTTY for a command that is not gntdev's (including the dma-buf
    /// ones), EFAULT for an argument that is too short; else those of the service's call.
    pub fn ioctl(&self, command: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let device = self.device()?;
        match command {
            IOCTL_GNTDEV_MAP_GRANT_REF => {
                map_grant_ref(device, Arg::new::<IoctlGntdevMapGrantRef>(bytes)?)
            }
            IOCTL_GNTDEV_UNMAP_GRANT_REF => {
                let arg = Arg::new::<IoctlGntdevUnmapGrantRef>(bytes)?;
                let index = Index(arg.u64(offset_of!(IoctlGntdevUnmapGrantRef, index)));
                let count = Pages(arg.u32(offset_of!(IoctlGntdevUnmapGrantRef, count)));
                device.unmap_grant_ref(index, count)
            }
            IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR => {
                let mut arg = Arg::new::<IoctlGntdevGetOffsetForVaddr>(bytes)?;
                let addr = arg.u64(offset_of!(IoctlGntdevGetOffsetForVaddr, vaddr)) as usize;
                let (index, count) = device.get_offset_for_vaddr(addr)?;
                arg.put_u64(offset_of!(IoctlGntdevGetOffsetForVaddr, offset), index.0);
                arg.put_u32(offset_of!(IoctlGntdevGetOffsetForVaddr, count), count.0);
                Ok(())
            }
            IOCTL_GNTDEV_SET_MAX_GRANTS => {
                let arg = Arg::new::<IoctlGntdevSetMaxGrants>(bytes)?;
                device.set_max_grants(arg.u32(offset_of!(IoctlGntdevSetMaxGrants, count)))
            }
            IOCTL_GNTDEV_SET_UNMAP_NOTIFY => {
                let (index, notify) = unmap_notify(&Arg::new::<IoctlGntdevUnmapNotify>(bytes)?);
                device.set_unmap_notify(index, notify)
            }
            IOCTL_GNTDEV_GRANT_COPY => {
                let arg = Arg::new::<IoctlGntdevGrantCopy>(bytes)?;
                let at = arg.u64(offset_of!(IoctlGntdevGrantCopy, segments)) as usize;
                copy::grant_copy(self, at, arg.u32(offset_of!(IoctlGntdevGrantCopy, count)))
            }
            _ => Err(UNKNOWN),
        }
    }

    /// Maps `length` bytes from index `offset` on, as `mmap` does. Returns the address.
    ///
    /// # Errors
    /// EBADF once it's closed, or as for [`IndexDevice::mmap`].
    pub fn mmap(&self, length: u64, prot: u32, flags: u32, offset: u64) -> Result<usize, Error> {
        let pages = pages_of(length).unwrap_or(Pages(u32::MAX));
        self.device()?.mmap(Index(offset), pages, flags & MAP_SHARED != 0, access_of(prot))
    }

    /// Unmaps a whole mapping, as `munmap` does.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if the range isn't exactly one mapping; else Xen's error for
    /// the first page that it won't unmap. The addresses are then invalid, and the service will
    /// retry.
    pub fn munmap(&mut self, addr: usize, length: u64) -> Result<(), Error> {
        let pages = pages_of(length).ok_or(NOT_A_MAPPING)?;
        let unmapped = self.device.as_ref().ok_or(NOT_A_MAPPING)?.munmap(addr, pages);
        self.let_go();
        unmapped
    }

    /// Unmaps a whole mapping, and removes its indices as UNMAP_GRANT_REF does.
    ///
    /// # Errors
    /// As for [`GntdevFile::munmap`].
    pub(crate) fn munmap_and_remove(&mut self, addr: usize, pages: Pages) -> Result<(), Error> {
        let device = self.device.as_ref().ok_or(NOT_A_MAPPING)?;
        let unmapped = device.munmap_and_remove(addr, pages);
        self.let_go();
        unmapped
    }

    /// Reads from memory that `mmap` returned.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped; then nothing is read.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.mapped()?.read(addr, bytes)
    }

    /// Writes to memory that `mmap` returned.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped or is read-only; then nothing is written.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.mapped()?.write(addr, bytes)
    }

    /// Closes the file, as `close` does. Its mappings stay until they are unmapped, and its
    /// reservations as long.
    ///
    /// # Errors
    /// EBADF if it's already closed.
    pub fn close(&mut self) -> Result<(), Error> {
        self.device()?;
        self.closed = true;
        self.let_go();
        Ok(())
    }

    /// Drops the device once nobody can use it.
    fn let_go(&mut self) {
        if self.closed && self.device.as_ref().is_some_and(|device| device.usage().mapped == 0) {
            self.device = None;
        }
    }
}

pub(super) fn unmap_notify(arg: &Arg<'_>) -> (Index, NotifyRequest) {
    let action = arg.u32(offset_of!(IoctlGntdevUnmapNotify, action));
    let port = PortNumber(arg.u32(offset_of!(IoctlGntdevUnmapNotify, event_channel_port)));
    (Index(arg.u64(offset_of!(IoctlGntdevUnmapNotify, index))), NotifyRequest { action, port })
}

fn map_grant_ref<X: Platform>(device: &IndexDevice<X>, mut arg: Arg<'_>) -> Result<(), Error> {
    let count = arg.u32(offset_of!(IoctlGntdevMapGrantRef, count));
    let at = offset_of!(IoctlGntdevMapGrantRef, refs);
    arg.check_items(at, count, size_of::<IoctlGntdevGrantRef>())?;
    let mut grants = Vec::new();
    grants.try_reserve_exact(count as usize).map_err(|_| Error::NO_MEMORY)?;
    grants.extend((0..count as usize).map(|i| {
        let entry = at + i * size_of::<IoctlGntdevGrantRef>();
        let domid = arg.u32(entry + offset_of!(IoctlGntdevGrantRef, domid));
        // A domid beyond 16 bits becomes another that no domain has, which is refused at mmap like
        // any other.
        let domid = u16::try_from(domid).unwrap_or(u16::MAX);
        ClaimedGrant::new(domid, arg.u32(entry + offset_of!(IoctlGntdevGrantRef, ref_)))
    }));
    let index = device.map_grant_ref(&grants)?;
    arg.put_u64(offset_of!(IoctlGntdevMapGrantRef, index), index.0);
    Ok(())
}
