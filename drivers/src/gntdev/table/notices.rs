// SPDX-License-Identifier: MIT OR Apache-2.0
//! Notifications of index reservations: what is cleared and sent, and when.
//!
//! A byte is cleared when its page is unmapped, and an event is sent when nothing of the
//! reservation is left; each once.

use core::ops::Range;

use super::{IndexEntry, IndexState, Table, Ticket};
use crate::events::Port;
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify;
use crate::raw::READ_ONLY_BYTE;
use crate::{Access, Errno, Error};

/// One reservation's notification. Linux also keeps one per MAP_GRANT_REF.
#[derive(Debug)]
pub(super) struct RunNotice<X: Platform> {
    /// The byte to clear when its page is unmapped, as an offset in the window.
    byte: Option<usize>,
    /// The event to send when nothing of the reservation is left.
    pub(super) event: Option<Port<X>>,
    /// How many indices of the reservation are left.
    left: u32,
}

impl<X: Platform> Table<X> {
    /// Removes a reservation's notification, if it has one.
    pub(crate) fn forget_notify(&mut self, ticket: Ticket) {
        self.notifies.remove(&ticket);
    }

    /// Sets the notification of the reservation that an index belongs to, replacing an earlier one.
    /// `byte` is an offset in the index space.
    ///
    /// # Errors
    /// ENOENT if nothing is reserved there, then EINVAL for a byte of a read-only mapping; ENOMEM.
    pub(crate) fn set_notify(
        &mut self,
        index: u32,
        byte: Option<usize>,
        event: Option<Port<X>>,
    ) -> Result<(), Error> {
        let reserved =
            self.entries.get(index as usize).filter(|entry| entry.state != IndexState::Free);
        let entry = reserved.ok_or(Error::Local(Errno::ENOENT, &"nothing is reserved there"))?;
        if byte.is_some() && self.window.mapped(index) == Some(Access::ReadOnly) {
            return Err(READ_ONLY_BYTE);
        }
        self.notifies.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        let run = self.entries.iter().skip(entry.first as usize).take(entry.len as usize);
        let ours =
            |other: &&IndexEntry| other.ticket == entry.ticket && other.state != IndexState::Free;
        let left = run.filter(ours).count() as u32;
        self.notifies.insert(entry.ticket, RunNotice { byte, event, left });
        Ok(())
    }

    /// Clears the bytes to clear in a run that is about to be unmapped.
    pub(super) fn clear_bytes(&mut self, run: &Range<u32>) {
        if self.notifies.is_empty() {
            return;
        }
        let mut last = None;
        let entries = self.entries.iter().skip(run.start as usize).take(run.len());
        for ticket in entries.map(|entry| entry.ticket) {
            // Pages of one reservation are mostly adjacent.
            if last.replace(ticket) == Some(ticket) {
                continue;
            }
            let Some(notify) = self.notifies.get_mut(&ticket) else {
                continue;
            };
            let due = notify.byte.take_if(|byte| run.contains(&page_of(*byte)));
            if let Some(byte) = due {
                self.clear_byte(byte);
            }
        }
    }

    fn clear_byte(&self, byte: usize) {
        // Refused if the page has been mapped read-only since the request.
        let _ = self.window.write(byte, &[0]);
    }

    /// Fires every notification without removing any, because the guest is about to end.
    pub(crate) fn fire_all(&self) {
        for notify in self.notifies.values() {
            notify.byte.iter().for_each(|byte| self.clear_byte(*byte));
            notify.event.iter().for_each(notify::send);
        }
    }

    /// Records that an index of this reservation is free; the last one sends the event.
    pub(super) fn forget_index(&mut self, ticket: Ticket, index: u32) {
        if self.notifies.is_empty() {
            return;
        }
        let Some(notify) = self.notifies.get_mut(&ticket) else {
            return;
        };
        // From now on the index, and with it the byte, may belong to somebody else.
        notify.byte.take_if(|byte| page_of(*byte) == index);
        notify.left -= 1;
        if notify.left == 0
            && let Some(RunNotice { event: Some(port), .. }) = self.notifies.remove(&ticket)
        {
            notify::send(&port);
        }
    }
}

/// Returns the index that contains a byte of the index space.
fn page_of(byte: usize) -> u32 {
    (byte / PAGE_SIZE) as u32
}
