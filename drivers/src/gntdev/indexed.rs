// SPDX-License-Identifier: MIT OR Apache-2.0
//! The index device: the seed's calls by plain index, with mappings named by their address.
//!
//! It serves code written for Linux's device, and the ioctl API. An address is valid only inside a
//! mapping of the same device; any other is EFAULT, and nothing is read or written then.

use core::ops::Range;

use super::device::IN_USE;
use super::table::Table;
use super::{Books, GntDev, Usage, check_limit};
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::{NotifyRequest, UnmapNotify};
use crate::raw::READ_ONLY_BYTE;
use crate::shared::check_range;
use crate::{Access, ClaimedGrant, Errno, Error, Index, Pages};

/// A gntdev device used by plain indices: an index space, and what is reserved and mapped in it.
///
/// Dropping the last clone closes it, which unmaps everything.
#[derive(Debug)]
pub struct IndexDevice<X: Platform> {
    service: GntDev<X>,
    number: u32,
}

/// An open device.
#[derive(Debug)]
pub(super) struct Opened<X: Platform> {
    /// The number of clones of the device. If 0, it is closed, and kept only for pages that Xen
    /// refused to unmap.
    holders: u64,
    pub(super) table: Table<X>,
}

impl<X: Platform> Opened<X> {
    /// Whether it is closed and nothing is left in it.
    fn is_over(&self) -> bool {
        self.holders == 0 && self.table.is_empty()
    }
}

impl<X: Platform> Books<X> {
    /// Takes out a closed device that has nothing left in it.
    pub(super) fn take_over(&mut self) -> Option<Opened<X>> {
        let over = self.indexed.iter_mut().find(|(_, opened)| opened.is_over())?.0;
        self.indexed.remove(over)
    }
}

impl<X: Platform> GntDev<X> {
    /// Opens an index device, with an index space of its own.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open_indexed(&self) -> Result<IndexDevice<X>, Error> {
        let table = Table::new(&self.0.xen, self.0.own, self.limit())?;
        let opened = self.0.books.lock().indexed.insert(Opened { holders: 1, table });
        // Outside the lock, since a table that found no room is dropped here.
        let number = opened.map_err(|_| Error::NO_MEMORY)?;
        Ok(IndexDevice { service: self.clone(), number })
    }
}

impl<X: Platform> IndexDevice<X> {
    /// MAP_GRANT_REF: reserves a run of indices for references, which may be of any domains and
    /// repeat. Returns the index of the first. Whether the grants exist is found out only when they
    /// are mapped.
    ///
    /// # Errors
    /// EINVAL for no references, ENOMEM for more than the index space has room for or if memory
    /// runs out. Nothing changes then.
    pub fn map_grant_ref(&self, grants: &[ClaimedGrant]) -> Result<Index, Error> {
        let (first, _) = self.with(|table| table.reserve(grants))?;
        Ok(Index::of_page(first.into()))
    }

    /// UNMAP_GRANT_REF: removes `count` indices from `index` on, of one or several reservations.
    ///
    /// # Errors
    /// EINVAL for an index that is not reserved, EBUSY for one that is mapped. Nothing changes
    /// then. Removing no indices succeeds.
    pub fn unmap_grant_ref(&self, index: Index, count: Pages) -> Result<(), Error> {
        if count.0 == 0 {
            return Ok(());
        }
        let run = page_run(index, count)
            .ok_or(Error::Local(Errno::EINVAL, &"outside the device's index space"))?;
        self.with(|table| table.remove(run))
    }

    /// mmap: maps `count` reserved indices from `index` on, all or none, with one hypercall.
    /// `shared` is false for a private mapping, which can't be writable. Returns the address.
    ///
    /// # Errors
    /// In this order: ENXIO for no pages or outside the index space; EINVAL for a private writable
    /// mapping; EINVAL for an index that is not reserved or is mapped; EINVAL if Xen refuses, or
    /// ENOMEM for its status no_space. The indices stay reserved.
    pub fn mmap(
        &self,
        index: Index,
        count: Pages,
        shared: bool,
        access: Access,
    ) -> Result<usize, Error> {
        self.with(|table| {
            let run = page_run(index, count)
                .filter(|run| !run.is_empty() && run.end <= table.limit())
                .ok_or(Error::Local(Errno::ENXIO, &"no pages, or outside the index space"))?;
            if !shared && access == Access::ReadWrite {
                return Err(Error::Local(Errno::EINVAL, &"a writable mapping must be shared"));
            }
            table.map(run.clone(), None, access)?;
            Ok(table.addr(run.start))
        })
    }

    /// munmap: ends the mapping of `pages` pages at `addr`; its indices stay reserved.
    ///
    /// # Errors
    /// EINVAL, with nothing changed, unless that is exactly one mapping of this device. Otherwise
    /// Xen's status of the first page that it refuses to unmap; such a page is no longer
    /// accessible, and the service retries it.
    pub fn munmap(&self, addr: usize, pages: Pages) -> Result<(), Error> {
        self.with(|table| {
            let run = table.whole_mapping(addr, pages)?;
            table.unmap(run)
        })
    }

    /// Does [`IndexDevice::munmap`] and removes the indices, as `xengnttab_unmap` does.
    ///
    /// # Errors
    /// As [`IndexDevice::munmap`]; a page that Xen refuses to unmap is removed once Xen unmaps it.
    pub fn munmap_and_remove(&self, addr: usize, pages: Pages) -> Result<(), Error> {
        self.with(|table| {
            let run = table.whole_mapping(addr, pages)?;
            let unmapped = table.unmap(run.clone());
            table.discard(run, None);
            unmapped
        })
    }

    /// Reserves `grants`, sets `notify` and maps, all or nothing, as
    /// `xengnttab_map_grant_ref_notify` does. Returns the address.
    ///
    /// # Errors
    /// EINVAL for a port that is not open, then for a byte outside the mapping or of a read-only
    /// one; those of [`IndexDevice::map_grant_ref`] and [`IndexDevice::mmap`]; ENOMEM. Nothing
    /// stays reserved, and nobody is notified.
    pub fn map_grants(
        &self,
        grants: &[ClaimedGrant],
        access: Access,
        notify: UnmapNotify,
    ) -> Result<usize, Error> {
        let event = notify.hold(&self.service.0.events)?;
        if notify.byte.is_some() && access == Access::ReadOnly {
            return Err(READ_ONLY_BYTE);
        }
        if let Some(byte) = notify.byte {
            check_range(grants.len().saturating_mul(PAGE_SIZE), byte, 1)?;
        }
        // In one go, so that nobody else can take the indices before they are mapped.
        self.with(|table| {
            let (first, ticket) = table.reserve(grants)?;
            let run = first..first + grants.len() as u32;
            let byte = notify.byte.map(|byte| first as usize * PAGE_SIZE + byte);
            let mut mapped = Ok(());
            if byte.is_some() || event.is_some() {
                mapped = table.set_notify(first, byte, event);
            }
            mapped = mapped.and_then(|()| table.map(run.clone(), Some(ticket), access));
            if let Err(error) = mapped {
                // Nothing was mapped, so there is no end to announce.
                table.forget_notify(ticket);
                table.discard(run, Some(ticket));
                return Err(error);
            }
            Ok(table.addr(first))
        })
    }

    /// GET_OFFSET_FOR_VADDR: returns the index and the number of pages of the mapping at `addr`.
    ///
    /// # Errors
    /// EFAULT if no mapping is there; EINVAL inside a mapping but not at its start, and for a
    /// mapping of another index device.
    pub fn get_offset_for_vaddr(&self, addr: usize) -> Result<(Index, Pages), Error> {
        if let Some((run, start)) = self.with(|table| table.mapping_at(addr)) {
            if addr != start {
                return Err(Error::Local(Errno::EINVAL, &"inside a mapping, not at its start"));
            }
            return Ok((Index::of_page(run.start.into()), Pages(run.end - run.start)));
        }
        let books = &mut *self.service.0.books.lock();
        let elsewhere = books.indexed.iter_mut().any(|(_, it)| it.table.mapping_at(addr).is_some());
        Err(if elsewhere {
            Error::Local(Errno::EINVAL, &"a mapping of another device")
        } else {
            Error::Local(Errno::EFAULT, &"no mapping is there")
        })
    }

    /// SET_MAX_GRANTS: changes the device's limit, at most to 2^18.
    ///
    /// # Errors
    /// EBUSY once anything is reserved, EINVAL for 0 or too many, ENOMEM.
    pub fn set_max_grants(&self, grants: u32) -> Result<(), Error> {
        self.with(|table| {
            if table.usage().reserved > 0 {
                return Err(IN_USE);
            }
            check_limit(grants)?;
            *table = Table::new(&self.service.0.xen, self.service.0.own, grants)?;
            Ok(())
        })
    }

    /// SET_UNMAP_NOTIFY, for the reservation that contains byte `index`: the byte is cleared when
    /// its page is unmapped, and the event is sent when nothing of the reservation is left. A later
    /// call replaces an earlier one. Byte and event fire once each.
    ///
    /// # Errors
    /// EINVAL for an unknown action, EINVAL for an event on a port that is not open, ENOENT if
    /// nothing is reserved there, EINVAL for a byte of a page that is mapped read-only.
    pub fn set_unmap_notify(&self, index: Index, request: NotifyRequest) -> Result<(), Error> {
        let notify = request.decode(index.0 as usize)?;
        let event = notify.hold(&self.service.0.events)?;
        let page = u32::try_from(index.page()).unwrap_or(u32::MAX);
        self.with(|table| table.set_notify(page, notify.byte, event))
    }

    /// Copies bytes out of mappings of this device.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped; nothing is read then.
    pub fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.with(|table| table.read(addr, bytes))
    }

    /// Copies bytes into writable mappings of this device.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped writable; nothing is written then.
    pub fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        self.with(|table| table.write(addr, bytes))
    }

    /// Checks that a range lies in mappings of this device that allow `access`.
    ///
    /// # Errors
    /// EFAULT if it doesn't.
    pub fn check(&self, addr: usize, len: usize, access: Access) -> Result<(), Error> {
        self.with(|table| table.offset_at(addr, len, access == Access::ReadWrite)).map(drop)
    }

    /// Returns Xen's status of an index's last map; `None` if the index is not reserved.
    pub fn status(&self, index: Index) -> Option<xen_sys::grant_table::GrantStatus> {
        let page = u32::try_from(index.page()).ok()?;
        self.with(|table| table.status(page))
    }

    /// Returns how much is in use in this device.
    pub fn usage(&self) -> Usage {
        self.with(|table| table.usage())
    }

    /// Returns the service that the device belongs to.
    pub fn service(&self) -> &GntDev<X> {
        &self.service
    }

    /// Calls `look` with the device's locked index space.
    fn with<R>(&self, look: impl FnOnce(&mut Table<X>) -> R) -> R {
        let (result, stuck) = {
            let books = &mut *self.service.0.books.lock();
            let opened = books.indexed.get_mut(self.number);
            let table = &mut opened.expect("open as long as anybody holds it").table;
            (look(table), table.usage().stuck > 0)
        };
        if stuck {
            self.service.tell_stuck();
        }
        result
    }
}

impl<X: Platform> Clone for IndexDevice<X> {
    fn clone(&self) -> Self {
        if let Some(opened) = self.service.0.books.lock().indexed.get_mut(self.number) {
            opened.holders += 1;
        }
        Self { service: self.service.clone(), number: self.number }
    }
}

impl<X: Platform> Drop for IndexDevice<X> {
    fn drop(&mut self) {
        let over = {
            let books = &mut *self.service.0.books.lock();
            let Some(opened) = books.indexed.get_mut(self.number) else {
                return;
            };
            opened.holders -= 1;
            if opened.holders > 0 {
                return;
            }
            opened.table.close();
            // If Xen refused to unmap pages, the device stays, and they are retried.
            if opened.is_over() { books.indexed.remove(self.number) } else { None }
        };
        if over.is_none() {
            self.service.tell_stuck();
        }
        drop(over);
    }
}

/// Returns a run's page numbers; `None` if the index is not the start of a page, or the run wraps.
fn page_run(index: Index, count: Pages) -> Option<Range<u32>> {
    let first = u32::try_from(index.page()).ok().filter(|_| index.is_of_page())?;
    Some(first..first.checked_add(count.0)?)
}
