// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev/xen/gntalloc` as a file.
//!
//! Pages of ours that are shared don't lie side by side, so an address here is a number of the
//! file's own: its mappings follow each other in a space that [`GntallocFile::read`] and
//! [`GntallocFile::write`] translate, with a page between them that is never valid.

use alloc::vec::Vec;
use core::mem::offset_of;

use super::arg::Arg;
use super::gntdev::unmap_notify;
use super::{CLOSED, MAP_SHARED, NOT_A_MAPPING, UNKNOWN, access_of, pages_of};
use drivers::gntalloc::{GntAlloc, IndexDevice, LocalMapping};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, Error, GrantRef, Index, Pages};
use xen_sys::linux::gntalloc::{
    IOCTL_GNTALLOC_ALLOC_GREF, IOCTL_GNTALLOC_DEALLOC_GREF, IOCTL_GNTALLOC_SET_UNMAP_NOTIFY,
    IoctlGntallocAllocGref, IoctlGntallocDeallocGref, IoctlGntallocUnmapNotify,
};

/// Where a file's addresses begin.
const BASE: usize = 1 << 32;

/// An open gntalloc, and what it has mapped.
#[derive(Debug)]
pub struct GntallocFile<X: Platform> {
    device: Option<IndexDevice<X>>,
    /// By address, which only grows. One that was unmapped keeps its place for a while.
    mapped: Vec<Mapped<X>>,
    /// How many are mapped still.
    live: usize,
    next: usize,
}

#[derive(Debug)]
struct Mapped<X: Platform> {
    start: usize,
    pages: Pages,
    access: Access,
    /// `None` once it's unmapped.
    memory: Option<LocalMapping<X>>,
}

impl<X: Platform> GntallocFile<X> {
    /// open.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(service: &GntAlloc<X>) -> Result<Self, Error> {
        Ok(Self { device: Some(service.open_indexed()?), mapped: Vec::new(), live: 0, next: BASE })
    }

    /// The device that it stands for.
    ///
    /// # Errors
    /// EBADF once it's closed.
    pub fn device(&self) -> Result<&IndexDevice<X>, Error> {
        self.device.as_ref().ok_or(CLOSED)
    }

    /// ioctl. `bytes`: the command's structure, in and out.
    ///
    /// # Errors
    /// EBADF once it's closed, ENOTTY for a command that is not gntalloc's, EFAULT for an argument
    /// that is too short; else as the service's call says.
    pub fn ioctl(&self, command: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let device = self.device()?;
        match command {
            IOCTL_GNTALLOC_ALLOC_GREF => {
                alloc_gref(device, Arg::new::<IoctlGntallocAllocGref>(bytes)?)
            }
            IOCTL_GNTALLOC_DEALLOC_GREF => {
                let arg = Arg::new::<IoctlGntallocDeallocGref>(bytes)?;
                let index = Index(arg.u64(offset_of!(IoctlGntallocDeallocGref, index)));
                device.dealloc_gref(
                    index,
                    Pages(arg.u32(offset_of!(IoctlGntallocDeallocGref, count))),
                )
            }
            IOCTL_GNTALLOC_SET_UNMAP_NOTIFY => {
                let (index, notify) = unmap_notify(&Arg::new::<IoctlGntallocUnmapNotify>(bytes)?);
                device.set_unmap_notify(index, notify)
            }
            _ => Err(UNKNOWN),
        }
    }

    /// mmap of `length` bytes from index `offset` on. Returns the address.
    ///
    /// # Errors
    /// EBADF once it's closed; else as [`IndexDevice::mmap`]; ENOMEM.
    pub fn mmap(
        &mut self,
        length: u64,
        prot: u32,
        flags: u32,
        offset: u64,
    ) -> Result<usize, Error> {
        let pages = pages_of(length).unwrap_or(Pages(u32::MAX));
        let memory = self.device()?.mmap(Index(offset), pages, flags & MAP_SHARED != 0)?;
        self.mapped.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        let start = self.next;
        // Never used twice, and a page of distance.
        self.next += pages.bytes() + PAGE_SIZE;
        self.mapped.push(Mapped { start, pages, access: access_of(prot), memory: Some(memory) });
        self.live += 1;
        Ok(start)
    }

    /// munmap of a whole mapping.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if it's not all of one mapping.
    pub fn munmap(&mut self, addr: usize, length: u64) -> Result<(), Error> {
        let pages = pages_of(length).ok_or(NOT_A_MAPPING)?;
        let place = self.mapped.binary_search_by_key(&addr, |mapped| mapped.start);
        let mapped = place.ok().map(|place| &mut self.mapped[place]);
        let memory = mapped.filter(|mapped| mapped.pages == pages).and_then(|m| m.memory.take());
        drop(memory.ok_or(NOT_A_MAPPING)?);
        self.live -= 1;
        // Places are given up by the half, so that each costs one move.
        if self.live * 2 < self.mapped.len() {
            self.mapped.retain(|mapped| mapped.memory.is_some());
        }
        Ok(())
    }

    /// A load from memory that mmap returned.
    ///
    /// # Errors
    /// EFAULT if part of the range is none; nothing is read then.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (memory, _, offset) = self.find(addr).ok_or(Error::BAD_ADDRESS)?;
        memory.read(offset, bytes).map_err(|_| Error::BAD_ADDRESS)
    }

    /// A store to memory that mmap returned.
    ///
    /// # Errors
    /// EFAULT if part of the range is none, or read-only; nothing is written then.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (memory, access, offset) = self.find(addr).ok_or(Error::BAD_ADDRESS)?;
        if access == Access::ReadOnly {
            return Err(Error::BAD_ADDRESS);
        }
        memory.write(offset, bytes).map_err(|_| Error::BAD_ADDRESS)
    }

    /// close. What is mapped stays so until it's unmapped.
    ///
    /// # Errors
    /// EBADF if it is closed already.
    pub fn close(&mut self) -> Result<(), Error> {
        self.device.take().map(drop).ok_or(CLOSED)
    }

    /// The mapping that an address may lie in, and the offset in it.
    fn find(&self, addr: usize) -> Option<(&LocalMapping<X>, Access, usize)> {
        let after = self.mapped.partition_point(|mapped| mapped.start <= addr);
        let mapped = self.mapped.get(after.checked_sub(1)?)?;
        Some((mapped.memory.as_ref()?, mapped.access, addr - mapped.start))
    }
}

fn alloc_gref<X: Platform>(device: &IndexDevice<X>, mut arg: Arg<'_>) -> Result<(), Error> {
    let count = arg.u32(offset_of!(IoctlGntallocAllocGref, count));
    let at = offset_of!(IoctlGntallocAllocGref, gref_ids);
    // Before anything is allocated, so that no result can get lost.
    arg.check_items(at, count, size_of::<u32>())?;
    let mut grefs = Vec::new();
    grefs.try_reserve_exact(count as usize).map_err(|_| Error::NO_MEMORY)?;
    grefs.resize(count as usize, GrantRef(0));
    let domid = arg.u16(offset_of!(IoctlGntallocAllocGref, domid));
    let flags = arg.u16(offset_of!(IoctlGntallocAllocGref, flags));
    let index = device.alloc_gref(domid, flags, &mut grefs)?;
    arg.put_u64(offset_of!(IoctlGntallocAllocGref, index), index.0);
    for (i, gref) in grefs.iter().enumerate() {
        arg.put_u32(at + i * size_of::<u32>(), gref.0);
    }
    Ok(())
}
