// SPDX-License-Identifier: MIT OR Apache-2.0
//! An index space of gntdev: which index is reserved, which is mapped, and for whom.
//!
//! Index `i` is page `i` of the device's [`Window`]. Its address is fixed, so any run of reserved
//! indices maps to contiguous addresses, whatever reservations it crosses, and mapping doesn't
//! search or allocate. All rules of the contract about indices are here; the window knows what is
//! really mapped.

mod notices; // notification
mod stuck; // pages that Xen refused to unmap

use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::HashMap;

use xen_sys::grant_table::GrantStatus;

use self::notices::RunNotice;
use self::stuck::NONE;
use super::Usage;
use crate::memory::Platform;
use crate::raw::Window;
use crate::run_tree::RunTree;
use crate::{Access, ClaimedGrant, DomId, Errno, Error, Pages};

/// Identifies one call's reservation; never reused.
pub(crate) type Ticket = u64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IndexState {
    #[default]
    Free,
    Reserved,
    Mapped,
    /// Unmapping failed: the page is still mapped, and is retried.
    Stuck,
    /// Stuck, and its reservation is gone: the index is free once the page is unmapped.
    StuckOrphan,
}

/// One index.
#[derive(Clone, Copy, Debug, Default)]
struct IndexEntry {
    state: IndexState,
    /// The reservation it belongs to, and the run of that.
    ticket: Ticket,
    first: u32,
    len: u32,
    /// While mapped: the first index and the length of its mapping.
    start: u32,
    count: u32,
    /// While stuck: the next stuck index.
    next_stuck: u32,
}

/// The index space, its window and its notifications.
#[derive(Debug)]
pub(crate) struct Table<X: Platform> {
    window: Window<X>,
    entries: Vec<IndexEntry>,
    free: RunTree,
    limit: u32,
    notifies: HashMap<Ticket, RunNotice<X>>,
    next_ticket: Ticket,
    usage: Usage,
    /// The head of the list of stuck indices, linked by `next_stuck` and ended by [`NONE`].
    first_stuck: u32,
}

impl<X: Platform> Table<X> {
    /// Creates an index space of `limit` pages for domain `own`.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(xen: &X, own: DomId, limit: u32) -> Result<Self, Error> {
        Ok(Self {
            window: Window::new(xen, own, limit)?,
            entries: Vec::new(),
            free: RunTree::new(limit),
            limit,
            notifies: HashMap::new(),
            next_ticket: 0,
            usage: Usage::default(),
            first_stuck: NONE,
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns the address of an index.
    pub(crate) fn addr(&self, index: u32) -> usize {
        self.window.addr(index)
    }

    /// Whether nothing is mapped in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.usage.mapped + self.usage.stuck == 0
    }

    /// Returns Xen's status of an index's last map, if the index is reserved.
    pub(crate) fn status(&self, index: u32) -> Option<GrantStatus> {
        let entry = self.entries.get(index as usize)?;
        self.window.status(index).filter(|_| entry.state != IndexState::Free)
    }

    /// Reserves a run of indices for `grants`. Returns the first, and the ticket.
    ///
    /// # Errors
    /// EINVAL for no references, ENOMEM if there is no free run or memory runs out. Nothing changes
    /// then.
    pub(crate) fn reserve(&mut self, grants: &[ClaimedGrant]) -> Result<(u32, Ticket), Error> {
        if grants.is_empty() {
            return Err(Error::Local(Errno::EINVAL, &"at least 1 reference can be reserved"));
        }
        let count = u32::try_from(grants.len()).map_err(|_| FULL)?;
        self.retry_stuck();
        let first = self.free.take(count).ok_or(FULL)?;
        if let Err(error) = self.prepare(first + count) {
            self.free.give(first..first + count);
            return Err(error);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.window.reserve(first, grants);
        let state = IndexState::Reserved;
        let entry = IndexEntry { state, ticket, first, len: count, ..IndexEntry::default() };
        self.entries.iter_mut().skip(first as usize).take(grants.len()).for_each(|e| *e = entry);
        self.usage.reserved += count;
        Ok((first, ticket))
    }

    /// Returns the entry of a prepared index; the number of entries never shrinks.
    fn entry(&mut self, index: u32) -> &mut IndexEntry {
        &mut self.entries[index as usize]
    }

    fn prepare(&mut self, pages: u32) -> Result<(), Error> {
        let more = (pages as usize).saturating_sub(self.entries.len());
        self.entries.try_reserve(more).map_err(|_| Error::NO_MEMORY)?;
        // Last, so that window and entries grow together or not at all.
        self.window.prepare(pages)?;
        self.entries.resize(self.entries.len() + more, IndexEntry::default());
        Ok(())
    }

    /// Maps a run of reserved indices, all or none; if `ticket` is given, only of that reservation.
    ///
    /// # Errors
    /// EINVAL for an index that is not reserved or is mapped, then Xen's.
    pub(crate) fn map(
        &mut self,
        run: Range<u32>,
        ticket: Option<Ticket>,
        access: Access,
    ) -> Result<(), Error> {
        let reserved = |entry: &IndexEntry| {
            entry.state == IndexState::Reserved
                && ticket.is_none_or(|ticket| ticket == entry.ticket)
        };
        self.retry_stuck();
        let entries = self.entries.get(run.start as usize..run.end as usize).ok_or(NOT_RESERVED)?;
        if !entries.iter().all(reserved) {
            return Err(NOT_RESERVED);
        }
        let (start, count) = (run.start, run.end - run.start);
        let mapped = self.window.map(run.clone(), access);
        for index in run {
            // After a failure, a page is live only if Xen refused to unmap it again.
            let live = self.window.mapped(index).is_some();
            if mapped.is_ok() {
                let entry = self.entry(index);
                *entry = IndexEntry { state: IndexState::Mapped, start, count, ..*entry };
            } else if live {
                self.set_stuck(index, IndexState::Stuck);
            }
        }
        if mapped.is_ok() {
            self.usage.mapped += count;
        }
        mapped
    }

    /// Unmaps a whole mapping. Its indices are reserved again.
    ///
    /// # Errors
    /// Xen's status of the first page that it refused to unmap. Such pages are stuck, and retried
    /// later.
    pub(crate) fn unmap(&mut self, run: Range<u32>) -> Result<(), Error> {
        self.clear_bytes(&run);
        self.usage.mapped -= run.end - run.start;
        let unmapped = self.window.unmap(run.clone());
        for index in run {
            if self.window.mapped(index).is_some() {
                self.set_stuck(index, IndexState::Stuck);
            } else {
                self.entry(index).state = IndexState::Reserved;
            }
        }
        unmapped
    }

    /// Removes a run of reserved indices, whatever reservations they belong to.
    ///
    /// # Errors
    /// EINVAL if the first index that can't be removed is not reserved, EBUSY if it is mapped.
    /// Nothing changes then.
    pub(crate) fn remove(&mut self, run: Range<u32>) -> Result<(), Error> {
        self.retry_stuck();
        // Check this first, since the run may be of any length.
        if run.end > self.limit {
            return Err(NOT_RESERVED);
        }
        for index in run.clone() {
            let entry = self.entries.get(index as usize).copied().unwrap_or_default();
            match entry.state {
                IndexState::Reserved => {}
                IndexState::Free => return Err(NOT_RESERVED),
                IndexState::Mapped | IndexState::Stuck | IndexState::StuckOrphan => {
                    return Err(Error::Local(Errno::EBUSY, &"still mapped; unmap it first"));
                }
            }
        }
        self.free_run(run);
        Ok(())
    }

    /// Removes the reserved indices of a run; stuck ones go once they are unmapped. If `ticket` is
    /// given, only those of that reservation.
    pub(crate) fn discard(&mut self, run: Range<u32>, ticket: Option<Ticket>) {
        for index in run {
            let entry = *self.entry(index);
            if ticket.is_some_and(|ticket| ticket != entry.ticket) {
                continue;
            }
            match entry.state {
                IndexState::Reserved => self.free_index(index),
                IndexState::Stuck => self.entry(index).state = IndexState::StuckOrphan,
                IndexState::Free | IndexState::Mapped | IndexState::StuckOrphan => {}
            }
        }
    }

    fn free_index(&mut self, index: u32) {
        self.free_run(index..index + 1);
    }

    /// Frees a run in which nothing is mapped.
    fn free_run(&mut self, run: Range<u32>) {
        for index in run.clone() {
            let entry = self.entry(index);
            entry.state = IndexState::Free;
            let ticket = entry.ticket;
            self.forget_index(ticket, index);
        }
        self.usage.reserved -= run.end - run.start;
        self.free.give(run);
    }

    /// Returns the mapping that contains an address: its indices and its start address.
    pub(crate) fn mapping_at(&self, addr: usize) -> Option<(Range<u32>, usize)> {
        let entry = self.entries.get(self.window.index_of(addr)? as usize)?;
        let run = entry.start..entry.start + entry.count;
        (entry.state == IndexState::Mapped).then(|| (run, self.window.addr(entry.start)))
    }

    /// Returns the indices of the mapping that starts at `addr` and has `pages` pages.
    ///
    /// # Errors
    /// EINVAL if there is none.
    pub(crate) fn whole_mapping(&self, addr: usize, pages: Pages) -> Result<Range<u32>, Error> {
        self.mapping_at(addr)
            .filter(|(run, start)| (*start, run.end - run.start) == (addr, pages.0))
            .map(|(run, _)| run)
            .ok_or(Error::Local(Errno::EINVAL, &"not all of one mapping of this device"))
    }

    /// Copies bytes out of mappings.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped; nothing is read then.
    pub(crate) fn read(&self, addr: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let offset = self.offset_at(addr, bytes.len(), false)?;
        self.window.read(offset, bytes)
    }

    /// Copies bytes into writable mappings.
    ///
    /// # Errors
    /// EFAULT if part of the range is not mapped writable; nothing is written then.
    pub(crate) fn write(&self, addr: usize, bytes: &[u8]) -> Result<(), Error> {
        let offset = self.offset_at(addr, bytes.len(), true)?;
        self.window.write(offset, bytes)
    }

    /// Returns the window offset of `len` bytes at `addr`, if all of them are mapped, and writable
    /// if `write`. An empty range is valid at any address.
    ///
    /// # Errors
    /// EFAULT if they are not.
    pub(crate) fn offset_at(&self, addr: usize, len: usize, write: bool) -> Result<usize, Error> {
        let Some(more) = len.checked_sub(1) else {
            return Ok(0);
        };
        let index_of = |addr| self.window.index_of(addr).ok_or(Error::BAD_ADDRESS);
        let last = addr.checked_add(more).ok_or(Error::BAD_ADDRESS)?;
        let usable = |index: u32| {
            let writable = self.window.mapped(index) == Some(Access::ReadWrite);
            let state = self.entries.get(index as usize).map(|entry| entry.state);
            state == Some(IndexState::Mapped) && (writable || !write)
        };
        if (index_of(addr)?..=index_of(last)?).all(usable) {
            Ok(addr - self.window.addr(0))
        } else {
            Err(Error::BAD_ADDRESS)
        }
    }
}

impl<X: Platform> Table<X> {
    /// Closes the index space: clears the bytes of the notifications, unmaps everything with one
    /// hypercall, and sends the events. Pages that Xen refuses to unmap are stuck, without a
    /// reservation.
    pub(crate) fn close(&mut self) {
        let all = 0..self.entries.len() as u32;
        self.clear_bytes(&all);
        // Stuck pages are retried together with the rest.
        let _ = self.window.unmap(all.clone());
        (self.usage.mapped, self.usage.stuck, self.first_stuck) = (0, 0, NONE);
        for index in all {
            if self.entry(index).state == IndexState::Free {
                continue;
            }
            if self.window.mapped(index).is_some() {
                self.set_stuck(index, IndexState::StuckOrphan);
            } else {
                self.free_index(index);
            }
        }
    }
}

const FULL: Error = Error::Local(Errno::ENOMEM, &"no free run of that many indices in the device");
const NOT_RESERVED: Error = Error::Local(Errno::EINVAL, &"not reserved, or mapped already");
