// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/dev/xen/gntalloc` as a file.
//!
//! Our own shared pages aren't contiguous in memory, so each file has an address space of its own,
//! which [`GntallocFile::read`] and [`GntallocFile::write`] translate. Mappings follow each other
//! in it, with an invalid page in between.

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

/// The first address of a file.
const BASE: usize = 1 << 32;

/// An open gntalloc file and its mappings.
#[derive(Debug)]
pub struct GntallocFile<X: Platform> {
    device: Option<IndexDevice<X>>,
    /// In order of address. An unmapped one keeps its entry for a while.
    mapped: Vec<Mapped<X>>,
    /// How many are still mapped.
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
    /// Opens gntalloc, as `open` does.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(service: &GntAlloc<X>) -> Result<Self, Error> {
        Ok(Self { device: Some(service.open_indexed()?), mapped: Vec::new(), live: 0, next: BASE })
    }

    /// Returns the device behind the file.
    ///
    /// # Errors
    /// EBADF once it's closed.
    pub fn device(&self) -> Result<&IndexDevice<X>, Error> {
        self.device.as_ref().ok_or(CLOSED)
    }

    /// Carries out an ioctl. `bytes` is the command's structure, in and out.
    ///
    /// # Errors
    /// EBADF once it's closed, ENOTTY for a command that is not gntalloc's, EFAULT for an argument
    /// that is too short; else those of the service's call.
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

    /// Maps `length` bytes from index `offset` on, as `mmap` does. Returns the address.
    ///
    /// # Errors
    /// EBADF once it's closed, ENOMEM, or as for [`IndexDevice::mmap`].
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
        // No address is used twice, and mappings are a page apart.
        self.next += pages.bytes() + PAGE_SIZE;
        self.mapped.push(Mapped { start, pages, access: access_of(prot), memory: Some(memory) });
        self.live += 1;
        Ok(start)
    }

    /// Unmaps a whole mapping, as `munmap` does.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if the range isn't exactly one mapping.
    pub fn munmap(&mut self, addr: usize, length: u64) -> Result<(), Error> {
        let pages = pages_of(length).ok_or(NOT_A_MAPPING)?;
        let place = self.mapped.binary_search_by_key(&addr, |mapped| mapped.start);
        let mapped = place.ok().map(|place| &mut self.mapped[place]);
        let memory = mapped.filter(|mapped| mapped.pages == pages).and_then(|m| m.memory.take());
        drop(memory.ok_or(NOT_A_MAPPING)?);
        self.live -= 1;
        // Compact once half are unmapped, so that each unmap costs one move on average.
        if self.live * 2 < self.mapped.len() {
            self.mapped.retain(|mapped| mapped.memory.is_some());
        }
        Ok(())
    }

    /// Reads from memory that `mmap` returned.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped; then nothing is read.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (memory, _, offset) = self.find(addr).ok_or(Error::BAD_ADDRESS)?;
        memory.read(offset, bytes).map_err(|_| Error::BAD_ADDRESS)
    }

    /// Writes to memory that `mmap` returned.
    ///
    /// # Errors
    /// EFAULT if part of the range isn't mapped or is read-only; then nothing is written.
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

    /// Closes the file, as `close` does. Its mappings stay until they are unmapped.
    ///
    /// # Errors
    /// EBADF if it's already closed.
    pub fn close(&mut self) -> Result<(), Error> {
        self.device.take().map(drop).ok_or(CLOSED)
    }

    /// Returns the mapping that an address may be in, and the offset in it.
    fn find(&self, addr: usize) -> Option<(&LocalMapping<X>, Access, usize)> {
        let after = self.mapped.partition_point(|mapped| mapped.start <= addr);
        let mapped = self.mapped.get(after.checked_sub(1)?)?;
        Some((mapped.memory.as_ref()?, mapped.access, addr - mapped.start))
    }
}

fn alloc_gref<X: Platform>(device: &IndexDevice<X>, mut arg: Arg<'_>) -> Result<(), Error> {
    let count = arg.u32(offset_of!(IoctlGntallocAllocGref, count));
    let at = offset_of!(IoctlGntallocAllocGref, gref_ids);
    // Check before allocating anything, so that no result can get lost.
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
