// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to do when shared pages are released: a byte to clear and an event to send.
//!
//! A notice belongs to the pages that contain its byte, and is removed before they go. It is stored
//! here and not with them so that a guest that dies because of its own fault can still find it.

use core::num::NonZeroU32;

use crate::lock::Mutex;

use crate::events::Port;
use crate::memory::Platform;
use crate::slab::Slab;
use crate::{Error, notify};

/// The notices of all exports and typed mappings.
#[derive(Debug)]
pub(crate) struct Notices<X: Platform> {
    xen: X,
    list: Mutex<Slab<Notice<X>>>,
}

#[derive(Debug)]
struct Notice<X: Platform> {
    /// The address of the byte to clear, while it is writable.
    byte: Option<usize>,
    event: Option<Port<X>>,
}

/// Identifies its holder's notice. Dropping it leaks the notice.
#[derive(Debug)]
pub(crate) struct NoticeId(NonZeroU32);

impl NoticeId {
    /// Returns the identifier of the notice with this number in the list.
    fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number.wrapping_add(1)).map(Self)
    }

    fn number(&self) -> u32 {
        self.0.get() - 1
    }
}

impl<X: Platform> Notices<X> {
    pub(crate) fn new(xen: &X) -> Self {
        Self { xen: xen.clone(), list: Mutex::new(Slab::new()) }
    }

    /// Adds a notice that sends `event`, if any.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn add(&self, event: Option<Port<X>>) -> Result<NoticeId, Error> {
        let added = self.list.lock().insert(Notice { byte: None, event });
        added.ok().and_then(NoticeId::new).ok_or(Error::NO_MEMORY)
    }

    /// Makes a notice also clear the byte at `addr`.
    ///
    /// # Safety
    /// The byte lies in a page of our own or in a live writable mapping, and this stays so until
    /// [`Notices::clear_byte`], [`Notices::fire`] or [`Notices::remove`].
    pub(crate) unsafe fn arm(&self, id: &NoticeId, addr: usize) {
        if let Some(notice) = self.list.lock().get_mut(id.number()) {
            notice.byte = Some(addr);
        }
    }

    /// Clears a notice's byte now, and keeps the event for later.
    pub(crate) fn clear_byte(&self, id: &NoticeId) {
        if let Some(notice) = self.list.lock().get_mut(id.number()) {
            notice.clear(&self.xen);
            notice.byte = None;
        }
    }

    /// Clears the byte, sends the event, and removes the notice.
    pub(crate) fn fire(&self, id: NoticeId) {
        // Take it out of the list first: dropping the port may close it, which must not happen
        // under the lock.
        let notice = self.list.lock().remove(id.number());
        if let Some(notice) = notice {
            notice.clear(&self.xen);
            notice.send();
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&self, id: NoticeId) {
        let notice = self.list.lock().remove(id.number());
        drop(notice);
    }

    /// Fires every notice without removing any, because the guest is about to end by its own fault.
    /// Does nothing if the fault interrupted a holder of the lock.
    pub(crate) fn last_words(&self) {
        if let Some(mut list) = self.list.try_lock() {
            list.iter_mut().for_each(|(_, notice)| {
                notice.clear(&self.xen);
                notice.send();
            });
        }
    }
}

impl<X: Platform> Notice<X> {
    fn clear(&self, xen: &X) {
        if let Some(addr) = self.byte {
            // SAFETY: it is writable until disarmed: the promise of the caller of `arm`.
            unsafe { xen.write(addr, &[0]) };
        }
    }

    fn send(&self) {
        self.event.iter().for_each(notify::send);
    }
}
