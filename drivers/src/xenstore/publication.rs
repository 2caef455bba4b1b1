// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nodes of ours that one other domain may read, or all, for as long as we keep them.
//!
//! C xenstored drops a permission for a domain that is not there when it is set, and does not find
//! it when that domain comes (XSA-322); and nothing tells a domU that one comes. So a reader is
//! asked for before the permissions are set. One who is not there yet is *awaited*: once a second
//! [`crate::Services::upkeep`] asks Xen for him, by a question that needs no privilege, and sets
//! the permissions again once he is there. One who comes between the question and the setting gets
//! them twice. The upkeep does it and not the publisher, who then has nothing to poll.
//!
//! A node goes with its [`Publication`]: the message that removes it is set aside before it's
//! written. One given up before its message went out removes nothing; later than that it removes
//! what is at the path, even if xenstore should then refuse the write.

use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;

use xen_sys::io::xs_wire::XsMessageType;

use super::message::{HEADER, encode};
use super::state::State;
use super::{GARBAGE, Permission, Request, XenStore, path, permissions};
use crate::memory::Platform;
use crate::{DomId, Errno, Error, list};

/// Who may read a published node, besides ourselves and dom0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// This domain, whether it's there yet or not.
    Domain(DomId),
    /// All domains.
    Anyone,
}

/// A node of ours that others may read. Dropping it removes the node.
pub struct Publication<X: Platform> {
    store: XenStore<X>,
    /// The message that removes the node, with a place set aside.
    end: Vec<u8>,
    /// Whether the message that writes the node went out, so that there may be one to remove.
    written: bool,
    /// What the awaited reader is told from others by; 0 if none ever was.
    id: u64,
}

/// A node whose reader is awaited.
#[derive(Debug)]
pub(super) struct Expected {
    id: u64,
    reader: DomId,
    /// The message that sets the permissions.
    permit: Vec<u8>,
}

impl<X: Platform> XenStore<X> {
    /// Writes a node that belongs to us and that `reader` may read and nobody else, and keeps it
    /// so until the [`Publication`] is dropped. A reader who comes later may read it within about
    /// a second, as long as [`crate::Services::upkeep`] runs. Never part of a transaction; a path
    /// has one publication at a time, since the first that goes takes the node along.
    ///
    /// # Errors
    /// As [`XenStore::write`]. Nothing is left then; what was at the path stays if it could not be
    /// written.
    pub async fn publish(
        &self,
        path: &str,
        value: &[u8],
        reader: Reader,
    ) -> Result<Publication<X>, Error> {
        path::check(path)?;
        let (inner, path) = (&self.inner, path.as_bytes());
        let one;
        let list: &[Permission] = match reader {
            Reader::Anyone => &[Permission::read(inner.domid)],
            Reader::Domain(reader) => {
                one = [Permission::none(inner.domid), Permission::read(reader)];
                &one
            }
        };
        let list = permissions::format(list)?;
        let permit = || encode(XsMessageType::SET_PERMS, 0, &[path, b"\0", &list]);
        let write = encode(XsMessageType::WRITE, 0, &[path, b"\0", value])?;
        let first = permit()?;
        let end = encode(XsMessageType::RM, 0, &[path, b"\0"])?;
        inner.with(State::set_aside)?;
        let store = XenStore { inner: inner.clone(), transaction: 0 };
        let mut publication = Publication { store, end, written: false, id: 0 };
        let mut write = Request::new(inner.clone(), Ok(write));
        let written = poll_fn(|cx| {
            let answer = Pin::new(&mut write).poll(cx);
            publication.written = write.is_issued();
            answer
        });
        if let Err(error) = written.await {
            // If nothing was written, what was at the path before is not ours to remove.
            publication.written = error == GARBAGE;
            return Err(error);
        }
        if let Reader::Domain(reader) = reader
            && inner.events.domain_exists(reader) != Ok(true)
        {
            // Before the permissions are set: whoever comes from now on is seen by the upkeep.
            let again = permit()?;
            publication.id = inner.with(|state| state.expect(reader, again))?;
            inner.on_expect.wake();
        }
        Request::new(inner.clone(), Ok(first)).await?;
        Ok(publication)
    }

    /// Waits until a reader is awaited.
    pub(crate) async fn wait_expecting(&self) {
        poll_fn(|cx| {
            // First, so that what comes after the look is heard of.
            self.inner.on_expect.register(cx.waker());
            let expecting = self.inner.with(|state| !state.expected.is_empty());
            if expecting { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Asks Xen once for every awaited reader, and lets those read who are there.
    pub(crate) async fn admit(&self) {
        let mut last = 0;
        while let Some((id, reader)) = self.inner.with(|state| state.expected_after(last)) {
            last = id;
            if self.inner.events.domain_exists(reader) != Ok(true) {
                continue;
            }
            let permitted = match self.inner.with(|state| state.permit(id)) {
                None => continue,
                Some(Ok(request)) => Request::issued(self.inner.clone(), request).await.map(drop),
                Some(Err(error)) => Err(error),
            };
            match permitted {
                // It passes: the next time.
                Err(error) if matches!(error.errno(), Errno::EAGAIN | Errno::ENOMEM) => {}
                // He was gone again before xenstore came to it, which then permitted nobody.
                Ok(()) if self.inner.events.domain_exists(reader) != Ok(true) => {}
                // Done, or the node is not ours to permit any more.
                _ => self.inner.with(|state| state.forget_expected(id)),
            }
        }
    }
}

impl State {
    /// Awaits a reader; what he is told from others by.
    ///
    /// # Errors
    /// ENOMEM.
    fn expect(&mut self, reader: DomId, permit: Vec<u8>) -> Result<u64, Error> {
        let id = self.last_expected + 1;
        list::push(&mut self.expected, Expected { id, reader, permit })?;
        self.last_expected = id;
        Ok(id)
    }

    /// The next one who is awaited.
    fn expected_after(&self, last: u64) -> Option<(u64, DomId)> {
        let next = self.expected.iter().find(|one| one.id > last)?;
        Some((next.id, next.reader))
    }

    /// Permits the node to a reader who has come, unless he is awaited no more; the request's
    /// number. It's issued here, room or not: one that waited for room could come after the node's
    /// removal, and permit another node at the path.
    fn permit(&mut self, id: u64) -> Option<Result<u32, Error>> {
        let expected = self.expected.iter().find(|one| one.id == id)?;
        let mut message = Vec::new();
        let copied = list::extend(&mut message, expected.permit.iter().copied());
        Some(copied.and_then(|()| self.issue(message, Vec::new())))
    }

    fn forget_expected(&mut self, id: u64) {
        self.expected.retain(|one| one.id != id);
        if self.expected.is_empty() {
            self.expected = Vec::new();
        }
    }
}

impl<X: Platform> Publication<X> {
    /// Writes another value; who may read it stays. The future borrows the publication: a write
    /// after the removal would make a node that stays.
    ///
    /// # Errors
    /// As [`XenStore::write`].
    pub async fn write(&self, value: &[u8]) -> Result<(), Error> {
        let path = self.end.get(HEADER..).unwrap_or_default();
        let message = encode(XsMessageType::WRITE, 0, &[path, value]);
        Request::new(self.store.inner.clone(), message).await.map(drop)
    }
}

impl<X: Platform> Drop for Publication<X> {
    fn drop(&mut self) {
        let inner = &self.store.inner;
        inner.with(|state| state.forget_expected(self.id));
        if self.written {
            inner.send_aside(core::mem::take(&mut self.end));
        } else {
            inner.with(State::give_place);
        }
    }
}

impl<X: Platform> fmt::Debug for Publication<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication").field("id", &self.id).finish_non_exhaustive()
    }
}
