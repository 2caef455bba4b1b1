//! `/dev/xen/gntdev` as a file.

use alloc::vec::Vec;
use core::mem::offset_of;

use super::abi::{
    self, GetOffsetForVaddr, GrantCopy, GrantRefEntry, MapGrantRef, SetMaxGrants, UnmapGrantRef,
    UnmapNotifyArg,
};
use super::arg::Arg;
use super::{CLOSED, MAP_SHARED, NOT_A_MAPPING, UNKNOWN, access_of, copy, pages_of};
use drivers::gntdev::{GntDev, Handle};
use drivers::memory::Platform;
use drivers::notify::UnmapNotify;
use drivers::{Error, ForeignGrant, GrantRef, PortNumber};

/// An open gntdev, and what it has mapped.
#[derive(Debug)]
pub struct GntdevFile<X: Platform> {
    pub(super) xen: X,
    /// `None` once it's closed and nothing is mapped any more.
    handle: Option<Handle<X>>,
    closed: bool,
}

impl<X: Platform> GntdevFile<X> {
    /// open.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(xen: &X, device: &GntDev<X>) -> Result<Self, Error> {
        Ok(Self { xen: xen.clone(), handle: Some(device.open()?), closed: false })
    }

    /// The handle that it stands for.
    ///
    /// # Errors
    /// EBADF once it's closed.
    pub fn handle(&self) -> Result<&Handle<X>, Error> {
        self.handle.as_ref().filter(|_| !self.closed).ok_or(CLOSED)
    }

    /// The handle of what is mapped still, closed or not.
    pub(super) fn mapped(&self) -> Result<&Handle<X>, Error> {
        self.handle.as_ref().ok_or(Error::BAD_ADDRESS)
    }

    /// ioctl. `bytes`: the command's structure, in and out.
    ///
    /// # Errors
    /// EBADF once it's closed, ENOTTY for a command that is not gntdev's (the dma-buf ones
    /// included), EFAULT for an argument that is too short; else as the service's call says.
    pub fn ioctl(&self, command: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let handle = self.handle()?;
        match command {
            abi::MAP_GRANT_REF => map_grant_ref(handle, Arg::new::<MapGrantRef>(bytes)?),
            abi::UNMAP_GRANT_REF => {
                let arg = Arg::new::<UnmapGrantRef>(bytes)?;
                let index = arg.u64(offset_of!(UnmapGrantRef, index));
                handle.unmap_grant_ref(index, arg.u32(offset_of!(UnmapGrantRef, count)))
            }
            abi::GET_OFFSET_FOR_VADDR => {
                let mut arg = Arg::new::<GetOffsetForVaddr>(bytes)?;
                let addr = arg.u64(offset_of!(GetOffsetForVaddr, vaddr)) as usize;
                let (index, count) = handle.get_offset_for_vaddr(addr)?;
                arg.put_u64(offset_of!(GetOffsetForVaddr, offset), index);
                arg.put_u32(offset_of!(GetOffsetForVaddr, count), count);
                Ok(())
            }
            abi::SET_MAX_GRANTS => {
                let arg = Arg::new::<SetMaxGrants>(bytes)?;
                handle.set_max_grants(arg.u32(offset_of!(SetMaxGrants, count)))
            }
            abi::SET_UNMAP_NOTIFY => {
                let (index, notify) = unmap_notify(&Arg::new::<UnmapNotifyArg>(bytes)?);
                handle.set_unmap_notify(index, notify)
            }
            abi::GRANT_COPY => {
                let arg = Arg::new::<GrantCopy>(bytes)?;
                let at = arg.u64(offset_of!(GrantCopy, segments)) as usize;
                copy::grant_copy(self, at, arg.u32(offset_of!(GrantCopy, count)))
            }
            _ => Err(UNKNOWN),
        }
    }

    /// mmap of `length` bytes from index `offset` on. Returns the address.
    ///
    /// # Errors
    /// EBADF once it's closed; else as [`Handle::mmap`].
    pub fn mmap(&self, length: u64, prot: u32, flags: u32, offset: u64) -> Result<usize, Error> {
        let pages = pages_of(length).unwrap_or(u32::MAX);
        self.handle()?.map_at(offset, pages, flags & MAP_SHARED != 0, access_of(prot))
    }

    /// munmap of a whole mapping.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, if it's not all of one mapping; else what Xen says to a page
    /// that it won't unmap. The addresses are invalid then, and the service tries again.
    pub fn munmap(&mut self, addr: usize, length: u64) -> Result<(), Error> {
        let pages = pages_of(length).ok_or(NOT_A_MAPPING)?;
        let unmapped = self.handle.as_ref().ok_or(NOT_A_MAPPING)?.unmap_at(addr, pages);
        self.let_go();
        unmapped
    }

    /// munmap of a whole mapping, and UNMAP_GRANT_REF of its indices.
    ///
    /// # Errors
    /// As [`GntdevFile::munmap`].
    pub(crate) fn munmap_and_remove(&mut self, addr: usize, pages: u32) -> Result<(), Error> {
        let handle = self.handle.as_ref().ok_or(NOT_A_MAPPING)?;
        let unmapped = handle.unmap_and_remove_at(addr, pages);
        self.let_go();
        unmapped
    }

    /// A load from memory that mmap returned.
    ///
    /// # Errors
    /// EFAULT if part of the range is none; nothing is read then.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.mapped()?.read_at(addr, bytes)
    }

    /// A store to memory that mmap returned.
    ///
    /// # Errors
    /// EFAULT if part of the range is none, or read-only; nothing is written then.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.mapped()?.write_at(addr, bytes)
    }

    /// close. What is mapped stays so until it's unmapped, and what is reserved as long.
    ///
    /// # Errors
    /// EBADF if it is closed already.
    pub fn close(&mut self) -> Result<(), Error> {
        self.handle()?;
        self.closed = true;
        self.let_go();
        Ok(())
    }

    /// Lets go of the handle once nobody can use it.
    fn let_go(&mut self) {
        if self.closed && self.handle.as_ref().is_some_and(|handle| handle.usage().mapped == 0) {
            self.handle = None;
        }
    }
}

pub(super) fn unmap_notify(arg: &Arg<'_>) -> (u64, UnmapNotify) {
    let action = arg.u32(offset_of!(UnmapNotifyArg, action));
    let port = PortNumber(arg.u32(offset_of!(UnmapNotifyArg, event_channel_port)));
    (arg.u64(offset_of!(UnmapNotifyArg, index)), UnmapNotify { action, port })
}

fn map_grant_ref<X: Platform>(handle: &Handle<X>, mut arg: Arg<'_>) -> Result<(), Error> {
    let count = arg.u32(offset_of!(MapGrantRef, count));
    let at = offset_of!(MapGrantRef, refs);
    arg.check_items(at, count, size_of::<GrantRefEntry>())?;
    let mut grants = Vec::new();
    grants.try_reserve_exact(count as usize).map_err(|_| Error::NO_MEMORY)?;
    grants.extend((0..count as usize).map(|i| {
        let entry = at + i * size_of::<GrantRefEntry>();
        let domid = arg.u32(entry + offset_of!(GrantRefEntry, domid));
        // A number that no domain has stays one: it's refused at mmap, as any other.
        let domid = u16::try_from(domid).unwrap_or(u16::MAX);
        ForeignGrant { domid, gref: GrantRef(arg.u32(entry + offset_of!(GrantRefEntry, gref))) }
    }));
    let index = handle.map_grant_ref(&grants)?;
    arg.put_u64(offset_of!(MapGrantRef, index), index);
    Ok(())
}
