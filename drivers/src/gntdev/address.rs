//! Mappings by their address, for faces that speak of addresses: mapped, used and unmapped so.
//!
//! An address means something only inside a mapping of the handle that is asked; every other one
//! is EFAULT, and nothing is read or written then.

use super::Handle;
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::UnmapNotify;
use crate::{Access, Errno, Error, ForeignGrant};

impl<X: Platform> Handle<X> {
    /// mmap, to be ended by [`Handle::unmap_at`] or with the handle. Returns the address.
    ///
    /// # Errors
    /// As [`Handle::mmap`].
    pub fn map_at(
        &self,
        index: u64,
        count: u32,
        shared: bool,
        access: Access,
    ) -> Result<usize, Error> {
        let run = self.map_run(index, count, shared, access)?;
        Ok(self.with(|table| table.window().addr(run.start)))
    }

    /// Reserves `grants`, asks for `notify` and maps, all of it or nothing. Returns the address.
    /// `byte`: the one that `notify` may clear, counted from the start.
    ///
    /// # Errors
    /// As [`Handle::map_grant_ref`], [`Handle::set_unmap_notify`] and [`Handle::mmap`]. Nothing is
    /// left reserved, and nobody is notified.
    pub fn map_grants_at(
        &self,
        grants: &[ForeignGrant],
        access: Access,
        byte: usize,
        notify: UnmapNotify,
    ) -> Result<usize, Error> {
        notify.check_action()?;
        let event = notify.hold_port(&self.service.0.events)?;
        if notify.clears_byte() && access == Access::ReadOnly {
            return Err(Error::Invalid(Errno::EINVAL, "can't clear a byte of a read-only mapping"));
        }
        let (first, ticket) = self.insert_run(grants)?;
        let run = first..first + grants.len() as u32;
        let byte = notify.clears_byte().then(|| first as usize * PAGE_SIZE + byte);
        self.with(|table| {
            let mut mapped = Ok(());
            if byte.is_some() || event.is_some() {
                mapped = table.set_notify(first, byte, event);
            }
            mapped = mapped.and_then(|()| table.map(run.clone(), Some(ticket), access));
            if let Err(error) = mapped {
                // There was nothing to be told of the end of.
                table.forget_notify(ticket);
                table.discard(run, Some(ticket));
                return Err(error);
            }
            Ok(table.window().addr(first))
        })
    }

    /// munmap: ends the mapping of `pages` pages that starts at `addr`; its indices stay reserved.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, unless it is all of one mapping of this handle; else what Xen
    /// says to the first page that it won't unmap: such a page is no more accessible, and is tried
    /// again by the service.
    pub fn unmap_at(&self, addr: usize, pages: u32) -> Result<(), Error> {
        self.with(|table| {
            let run = table.whole_mapping(addr, pages)?;
            table.unmap(run.start)
        })
    }

    /// [`Handle::unmap_at`], and removes what was reserved there.
    ///
    /// # Errors
    /// As [`Handle::unmap_at`]; a page that Xen won't unmap is removed once it will.
    pub fn unmap_and_remove_at(&self, addr: usize, pages: u32) -> Result<(), Error> {
        self.with(|table| {
            let run = table.whole_mapping(addr, pages)?;
            let unmapped = table.unmap(run.start);
            table.discard(run, None);
            unmapped
        })
    }

    /// Copies bytes out of mappings of this handle.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped; nothing is read then.
    pub fn read_at(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.with(|table| {
            let offset = table.offset_at(addr, bytes.len(), false)?;
            table.window().read(offset, bytes);
            Ok(())
        })
    }

    /// Copies bytes into writable mappings of this handle.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped writable; nothing is written then.
    pub fn write_at(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.with(|table| {
            let offset = table.offset_at(addr, bytes.len(), true)?;
            table.window().write(offset, bytes);
            Ok(())
        })
    }

    /// Whether a range lies in mappings of this handle.
    ///
    /// # Errors
    /// EFAULT if not.
    pub fn check_at(&self, addr: usize, len: usize, writable: bool) -> Result<(), Error> {
        self.with(|table| table.offset_at(addr, len, writable)).map(drop)
    }
}
