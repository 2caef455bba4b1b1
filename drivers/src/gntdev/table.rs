//! A gntdev handle's index space: which index is reserved, which is mapped, and for whom.
//!
//! Index `i` is page `i` of the handle's [`Window`]: a fixed address, so that any run of reserved
//! indices maps to contiguous addresses, whatever reservations it crosses, and a map has nothing
//! to search or to allocate. Every rule of the contract about indices is here; what is mapped in
//! truth is the window's to know.

mod notices; // notification
mod stuck; // what Xen would not unmap

use alloc::vec::Vec;
use core::ops::Range;

use hashbrown::HashMap;

use self::notices::Notify;
use self::stuck::NONE;
use crate::memory::Platform;
use crate::notify;
use crate::raw::Window;
use crate::run_tree::RunTree;
use crate::{Access, Errno, Error, ForeignGrant};

/// A reservation, as one call of insert made it. Never used twice.
pub(crate) type Ticket = u64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    Reserved,
    Mapped,
    /// Unmapping failed: the page is still there, and is tried again.
    Stuck,
    /// The same, and the reservation is gone: it's free once it's unmapped.
    StuckOrphan,
}

/// One index.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    state: State,
    /// The reservation it belongs to, and that one's run.
    ticket: Ticket,
    first: u32,
    len: u32,
    /// While mapped: the first index of its mapping, and there also the length.
    start: u32,
    count: u32,
}

/// How much of a handle is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Indices that are reserved, mapped ones included.
    pub reserved: u32,
    /// Pages that are mapped.
    pub mapped: u32,
    /// Pages that Xen would not unmap, mapped still.
    pub stuck: u32,
}

/// The index space, its window and its notifications.
#[derive(Debug)]
pub(crate) struct Table<X: Platform> {
    window: Window<X>,
    slots: Vec<Slot>,
    free: RunTree,
    limit: u32,
    notifies: HashMap<Ticket, Notify<X>>,
    next_ticket: Ticket,
    usage: Usage,
    /// The first stuck index; each one's `start` is the next. [`NONE`] ends the list.
    first_stuck: u32,
}

impl<X: Platform> Table<X> {
    /// An index space of `limit` pages.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(xen: &X, limit: u32) -> Result<Self, Error> {
        Ok(Self {
            window: Window::new(xen, limit)?,
            slots: Vec::new(),
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

    pub(crate) fn window(&self) -> &Window<X> {
        &self.window
    }

    /// Reserves a run of indices for `grants`, at least one. Returns the first, and the ticket.
    ///
    /// # Errors
    /// ENOMEM without a free run or memory; nothing changes then.
    pub(crate) fn insert(&mut self, grants: &[ForeignGrant]) -> Result<(u32, Ticket), Error> {
        let count = u32::try_from(grants.len()).map_err(|_| FULL)?;
        self.retry_stuck();
        let first = self.free.take(count).ok_or(FULL)?;
        if let Err(error) = self.prepare(first + count) {
            self.free.give(first..first + count);
            return Err(error);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        for (index, grant) in (first..).zip(grants) {
            self.window.announce(index, *grant);
            let state = State::Reserved;
            self.slots[index as usize] =
                Slot { state, ticket, first, len: count, ..Slot::default() };
        }
        self.usage.reserved += count;
        Ok((first, ticket))
    }

    fn prepare(&mut self, pages: u32) -> Result<(), Error> {
        self.window.prepare(pages)?;
        let more = (pages as usize).saturating_sub(self.slots.len());
        self.slots.try_reserve(more).map_err(|_| Error::NO_MEMORY)?;
        self.slots.resize(self.slots.len() + more, Slot::default());
        Ok(())
    }

    /// Maps a run of reserved indices, all or none. `ticket`: only of this reservation.
    ///
    /// # Errors
    /// ENXIO for an empty run or one outside the index space, EINVAL for an index that is not
    /// reserved or is mapped, then whatever Xen says.
    pub(crate) fn map(
        &mut self,
        run: Range<u32>,
        ticket: Option<Ticket>,
        access: Access,
    ) -> Result<(), Error> {
        let reserved = |slot: &Slot| {
            slot.state == State::Reserved && ticket.is_none_or(|ticket| ticket == slot.ticket)
        };
        self.retry_stuck();
        let slots = self.slots.get(run.start as usize..run.end as usize).ok_or(NOT_RESERVED)?;
        if !slots.iter().all(reserved) {
            return Err(NOT_RESERVED);
        }
        let (start, count) = (run.start, run.end - run.start);
        let mapped = self.window.map(run.clone(), access);
        for index in run {
            // After a failure a page is live only if Xen would not unmap it again.
            let live = self.window.mapped(index).is_some();
            if mapped.is_ok() {
                let slot = &mut self.slots[index as usize];
                *slot = Slot { state: State::Mapped, start, count, ..*slot };
            } else if live {
                self.set_stuck(index, State::Stuck);
            }
        }
        if mapped.is_ok() {
            self.usage.mapped += count;
        }
        mapped
    }

    /// Unmaps the mapping that starts at `start`. Its indices are reserved again.
    ///
    /// # Errors
    /// What Xen says; pages that it refused to unmap are stuck, and tried again later.
    pub(crate) fn unmap(&mut self, start: u32) -> Result<(), Error> {
        let count = self.slots[start as usize].count;
        let run = start..start + count;
        self.clear_bytes(&run);
        let unmapped = self.window.unmap(run.clone());
        for index in run {
            let live = self.window.mapped(index).is_some();
            if live {
                self.set_stuck(index, State::Stuck);
            } else {
                self.slots[index as usize].state = State::Reserved;
            }
        }
        self.usage.mapped -= count;
        unmapped
    }

    /// Removes a run of reserved indices, whatever reservations they belong to.
    ///
    /// # Errors
    /// As the first index says that can't be removed: EINVAL if it's not reserved, EBUSY if it's
    /// mapped. Nothing changes then.
    pub(crate) fn remove(&mut self, run: Range<u32>) -> Result<(), Error> {
        self.retry_stuck();
        // Before the first look: what is asked for may be any number of pages.
        if run.end > self.limit {
            return Err(NOT_RESERVED);
        }
        for index in run.clone() {
            let slot = self.slots.get(index as usize).copied().unwrap_or_default();
            match slot.state {
                State::Reserved => {}
                State::Free => return Err(NOT_RESERVED),
                State::Mapped | State::Stuck | State::StuckOrphan => {
                    return Err(Error::Invalid(Errno::EBUSY, "still mapped; unmap it first"));
                }
            }
        }
        for index in run {
            self.free_slot(index);
        }
        Ok(())
    }

    /// Removes what is reserved in a run; stuck pages go once they are unmapped. `ticket`: only of
    /// this reservation.
    pub(crate) fn discard(&mut self, run: Range<u32>, ticket: Option<Ticket>) {
        for index in run {
            let slot = self.slots[index as usize];
            if ticket.is_some_and(|ticket| ticket != slot.ticket) {
                continue;
            }
            match slot.state {
                State::Reserved => self.free_slot(index),
                State::Stuck => self.slots[index as usize].state = State::StuckOrphan,
                State::Free | State::Mapped | State::StuckOrphan => {}
            }
        }
    }

    fn free_slot(&mut self, index: u32) {
        let ticket = self.slots[index as usize].ticket;
        self.slots[index as usize].state = State::Free;
        self.free.give(index..index + 1);
        self.usage.reserved -= 1;
        self.forget_index(ticket, index);
    }

    /// The mapping that an address lies in: its index, its number of pages, and its address.
    pub(crate) fn mapping_at(&self, addr: usize) -> Option<(u32, u32, usize)> {
        let slot = &self.slots[self.window.index_of(addr)? as usize];
        let count = self.slots[slot.start as usize].count;
        (slot.state == State::Mapped).then(|| (slot.start, count, self.window.addr(slot.start)))
    }

    /// The indices of the mapping that starts at `addr` and has `pages` pages.
    ///
    /// # Errors
    /// EINVAL if there is none.
    pub(crate) fn whole_mapping(&self, addr: usize, pages: u32) -> Result<Range<u32>, Error> {
        self.mapping_at(addr)
            .filter(|(_, count, start)| (*start, *count) == (addr, pages))
            .map(|(index, count, _)| index..index + count)
            .ok_or(Error::Invalid(Errno::EINVAL, "not all of one mapping of this handle"))
    }

    /// Where `len` bytes at `addr` are in the window, if all of them are mapped, and writable if
    /// they are to be. No bytes are anywhere.
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
            self.slots[index as usize].state == State::Mapped && (writable || !write)
        };
        if (index_of(addr)?..=index_of(last)?).all(usable) {
            Ok(addr - self.window.addr(0))
        } else {
            Err(Error::BAD_ADDRESS)
        }
    }
}

impl<X: Platform> Drop for Table<X> {
    /// Closing: everything is unmapped with one hypercall, and what was to be told is told.
    fn drop(&mut self) {
        let everything = 0..self.slots.len() as u32;
        self.clear_bytes(&everything);
        let _ = self.window.unmap(everything);
        for (_, notify) in self.notifies.drain() {
            if let Some(port) = notify.event {
                notify::send(&port);
            }
        }
    }
}

const FULL: Error = Error::Invalid(Errno::ENOMEM, "no free run of that many indices in the handle");
const NOT_RESERVED: Error = Error::Invalid(Errno::EINVAL, "not reserved, or mapped already");
