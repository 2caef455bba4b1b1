// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nodes of our own that one other domain or all domains may read, for as long as we keep them.
//!
//! C xenstored drops a permission for a domain that doesn't exist when it is set, and doesn't apply
//! it when that domain appears (XSA-322); and nothing tells a domU that a domain appears. So we ask
//! Xen for the reader before setting the permissions. A reader that doesn't exist yet is *awaited*:
//! once a second, [`crate::Services::upkeep`] asks Xen for it, which needs no privilege, and sets
//! the permissions again once it exists. For a reader that appears between asking and setting, they
//! are set twice. `upkeep` does this so that the publisher has nothing to poll.
//!
//! Dropping a [`Publication`] removes its node: the message for that is set aside before the node
//! is written. If publishing is abandoned before the write is sent, nothing is removed; if later,
//! whatever is at the path is removed, even if xenstore should refuse the write.

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
    /// This domain, whether or not it exists yet.
    Domain(DomId),
    /// All domains.
    Anyone,
}

/// A node of our own that others may read. Dropping this value removes the node.
pub struct Publication<X: Platform> {
    store: XenStore<X>,
    /// The message that removes the node; a place is set aside for it.
    end: Vec<u8>,
    /// Whether the write was sent, so that there may be a node to remove.
    written: bool,
    /// The id of our entry in [`State::expected`]; 0 if the reader was never awaited.
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
    /// Writes a node that we own and only `reader` may read, and keeps it until the [`Publication`]
    /// is dropped. A reader that appears later may read it within about a second, as long as
    /// [`crate::Services::upkeep`] runs. It is never part of a transaction. Publish only once per
    /// path at a time: dropping any one publication removes the node.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota. Nothing new is left then; if the
    /// write failed, an earlier node at the path stays.
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
            // Unless the write may have happened, an earlier node at the path is not ours to
            // remove.
            publication.written = error == GARBAGE;
            return Err(error);
        }
        if let Reader::Domain(reader) = reader
            && inner.events.domain_exists(reader) != Ok(true)
        {
            // Before the permissions are set: `upkeep` notices a reader that appears from now on.
            let again = permit()?;
            publication.id = inner.with(|state| state.expect(reader, again))?;
            inner.on_expect.wake();
        }
        Request::new(inner.clone(), Ok(first)).await?;
        Ok(publication)
    }

    /// Waits until at least one reader is awaited.
    pub(crate) async fn wait_expecting(&self) {
        poll_fn(|cx| {
            // Register first, so that no change after the look is missed.
            self.inner.on_expect.register(cx.waker());
            let expecting = self.inner.with(|state| !state.expected.is_empty());
            if expecting { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Asks Xen once for every awaited reader, and permits those that exist to read.
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
                // Temporary: try again next time.
                Err(error) if matches!(error.errno(), Errno::EAGAIN | Errno::ENOMEM) => {}
                // The reader was gone again before xenstore handled the request, which then had no
                // effect.
                Ok(()) if self.inner.events.domain_exists(reader) != Ok(true) => {}
                // Done, or we may no longer set the node's permissions.
                _ => self.inner.with(|state| state.forget_expected(id)),
            }
        }
    }
}

impl State {
    /// Adds an awaited reader and returns its id.
    ///
    /// # Errors
    /// ENOMEM.
    fn expect(&mut self, reader: DomId, permit: Vec<u8>) -> Result<u64, Error> {
        let id = self.last_expected + 1;
        list::push(&mut self.expected, Expected { id, reader, permit })?;
        self.last_expected = id;
        Ok(id)
    }

    /// Returns the next awaited reader after id `last`.
    fn expected_after(&self, last: u64) -> Option<(u64, DomId)> {
        let next = self.expected.iter().find(|one| one.id > last)?;
        Some((next.id, next.reader))
    }

    /// Requests permission for a reader that has appeared, unless it is no longer awaited. Returns
    /// the request's number. The request is issued even without room: if it waited for room, the
    /// node might be removed first, and the permission apply to another node at the path.
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
    /// Writes another value; the permissions stay. Returns an empty answer, as
    /// [`XenStore::write`] does. The future borrows the publication because a write after the
    /// removal would leave a node behind.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota.
    pub fn write(&self, value: &[u8]) -> impl Future<Output = Result<Vec<u8>, Error>> + use<'_, X> {
        let path = self.end.get(HEADER..).unwrap_or_default();
        let message = encode(XsMessageType::WRITE, 0, &[path, value]);
        Request::new(self.store.inner.clone(), message)
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
