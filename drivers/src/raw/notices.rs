// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to be done when shared pages are let go of: a byte to clear and an event to send.
//!
//! A notice belongs to the pages that its byte lies in, and is taken back before they go. It lies
//! here and not with them so that a guest which dies by a fault of its own can still find it.

use spin::Mutex;

use crate::events::Port;
use crate::memory::Platform;
use crate::slab::Slab;
use crate::{Error, notify};

/// The notices of all pages of a service.
#[derive(Debug)]
pub(crate) struct Notices<X: Platform> {
    xen: X,
    list: Mutex<Slab<Notice<X>>>,
}

#[derive(Debug)]
struct Notice<X: Platform> {
    /// The address of the byte to clear, while it can be written.
    byte: Option<usize>,
    event: Option<Port<X>>,
}

/// A notice of its holder's. Dropping it leaves the notice for ever.
#[derive(Debug)]
pub(crate) struct NoticeId(u32);

impl<X: Platform> Notices<X> {
    pub(crate) fn new(xen: &X) -> Self {
        Self { xen: xen.clone(), list: Mutex::new(Slab::new()) }
    }

    /// A notice that sends an event, or none yet.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn add(&self, event: Option<Port<X>>) -> Result<NoticeId, Error> {
        let added = self.list.lock().insert(Notice { byte: None, event });
        added.map(NoticeId).map_err(|_| Error::NO_MEMORY)
    }

    /// From now on it clears the byte at `addr`, too.
    ///
    /// # Safety
    /// The byte lies in a page of ours or in a live writable mapping, and that stays so until
    /// [`Notices::clear_byte`], [`Notices::fire`] or [`Notices::remove`].
    pub(crate) unsafe fn arm(&self, id: &NoticeId, addr: usize) {
        if let Some(notice) = self.list.lock().get_mut(id.0) {
            notice.byte = Some(addr);
        }
    }

    /// Clears its byte, now; the event is still to come.
    pub(crate) fn clear_byte(&self, id: &NoticeId) {
        if let Some(notice) = self.list.lock().get_mut(id.0) {
            notice.clear(&self.xen);
            notice.byte = None;
        }
    }

    /// Does all of it.
    pub(crate) fn fire(&self, id: NoticeId) {
        // Out of the list first: a port that goes closes, which is not done under the lock.
        let notice = self.list.lock().remove(id.0);
        if let Some(notice) = notice {
            notice.clear(&self.xen);
            notice.send();
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&self, id: NoticeId) {
        let notice = self.list.lock().remove(id.0);
        drop(notice);
    }

    /// Does what every notice asks for and forgets none: the guest is about to end by a fault of
    /// its own. Passes over a list that the fault has interrupted.
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
            // SAFETY: writable until it is taken back: the promise of whoever armed it.
            unsafe { xen.write(addr, &[0]) };
        }
    }

    fn send(&self) {
        self.event.iter().for_each(notify::send);
    }
}
