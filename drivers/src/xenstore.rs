// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore: the tree of small values that the toolstack and all guests share.
//!
//! A request is a message on a ring that a daemon serves; its answer carries the same number, so
//! many tasks ask at once. Watch events come unasked, between a request and its answer. Whoever
//! waits here moves the ring for everybody, and wakes who got something.
//!
//! Everything is bounded: requests without an answer (16), a watch's queue, the length of an
//! answer. Answers that wait to be fetched are as many as there are live [`Request`]s: their
//! owners' to bound. A future that is dropped leaves its request behind, which is sent to its end
//! and whose answer is thrown away: the stream stays whole.
//!
//! What is opened at the daemon (a transaction, a watch, a published node) is closed whatever
//! memory there is: the message that closes it, and its place among the requests, are set aside
//! before it is opened, and a change's answer is understood without memory for it.
//!
//! It refuses to trust the daemon: indices that can't be end the
//! connection with one error for all, an answer that can't be is an error for its request.

mod message;
mod path;
mod patience;
mod permissions;
mod publication;
mod request;
mod state;
mod transaction;
mod watch;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use spin::Mutex;
use xen_sys::io::xs_wire::XsMessageType;

use self::message::encode;
pub use self::path::DomainPath;
pub use self::patience::persist;
pub use self::permissions::Permission;
pub use self::publication::{Publication, Reader};
pub use self::request::Request;
use self::state::State;
pub use self::transaction::Transaction;
pub use self::watch::{Watch, WatchEvent};
use crate::boot::XenstoreDevice;
use crate::events::{Events, Port};
use crate::memory::Platform;
use crate::waiters::WaitList;
use crate::{DomId, Errno, Error};

/// The connection of this domain to xenstore. Clones are the same connection.
pub struct XenStore<X: Platform> {
    inner: Arc<Connection<X>>,
    /// The transaction that requests belong to; 0 for none.
    transaction: u32,
}

struct Connection<X: Platform> {
    device: XenstoreDevice<X>,
    port: Port<X>,
    state: Mutex<State>,
    /// Who waits for an answer, a watch's event, or room for a request.
    waiters: WaitList,
    /// Who waits until a published node's reader is awaited.
    on_expect: WaitList,
    events: Events<X>,
    /// Our own number, that of the owner of what we write.
    domid: DomId,
}

impl<X: Platform> XenStore<X> {
    /// The connection over this device.
    ///
    /// # Errors
    /// ENOMEM; EINVAL for a page without a port.
    pub(crate) fn bring_up(
        device: XenstoreDevice<X>,
        events: &Events<X>,
        domid: DomId,
    ) -> Result<Self, Error> {
        let inner = Connection {
            port: events.adopt(device.port)?,
            state: Mutex::new(State::new(&device.ring)),
            device,
            waiters: WaitList::new(),
            on_expect: WaitList::new(),
            events: events.clone(),
            domid,
        };
        Ok(Self { inner: Arc::new(inner), transaction: 0 })
    }

    /// A node's value. A path without a leading slash is relative to our own domain's.
    ///
    /// # Errors
    /// What xenstore says: for a guest ENOENT or EACCES if there is none; EINVAL or E2BIG, before
    /// anything is sent, for a path that is none or too long; EIO once the ring is broken.
    pub fn read(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::READ, path)
    }

    /// Sets a node's value, and makes the nodes above it that are missing.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota.
    pub fn write(&self, path: &str, value: &[u8]) -> Request<X> {
        self.request(XsMessageType::WRITE, path, &[path.as_bytes(), b"\0", value])
    }

    /// The names of a node's children, each ended by a zero byte: see [`names`].
    ///
    /// # Errors
    /// As [`XenStore::read`]; E2BIG if they don't fit in 4096 bytes.
    pub fn directory(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::DIRECTORY, path)
    }

    /// Makes a node with an empty value, unless it is there.
    ///
    /// # Errors
    /// As [`XenStore::write`].
    pub fn mkdir(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::MKDIR, path)
    }

    /// Removes a node and all below it. One that is not there is no error if its parent is.
    ///
    /// # Errors
    /// As [`XenStore::read`].
    pub fn remove(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::RM, path)
    }

    /// Removes a node whenever xenstore comes to it, for those who can't wait. Without memory for
    /// the message, or while 64 requests are under way, the node stays; that of a [`Publication`]
    /// never does.
    pub fn remove_later(&self, path: &str) {
        if let Ok(message) = encode(XsMessageType::RM, self.transaction, &[path.as_bytes(), b"\0"])
        {
            self.inner.with(|state| state.post(message));
            self.inner.pump();
        }
    }

    /// Who may do what with a node: the first entry is its owner and what all others may do.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EIO for an answer that is no list of permissions.
    pub async fn permissions(&self, path: &str) -> Result<Vec<Permission>, Error> {
        permissions::parse(&self.on_path(XsMessageType::GET_PERMS, path).await?)
    }

    /// Sets who may do what with a node. A domain that is not there is no entry to C xenstored, and
    /// none even once it comes: see [`XenStore::publish`].
    ///
    /// # Errors
    /// As [`XenStore::write`].
    pub fn set_permissions(&self, path: &str, list: &[Permission]) -> Request<X> {
        match permissions::format(list) {
            Ok(text) => {
                self.request(XsMessageType::SET_PERMS, path, &[path.as_bytes(), b"\0", &text])
            }
            Err(error) => Request::new(self.inner.clone(), Err(error)),
        }
    }

    fn on_path(&self, kind: XsMessageType, path: &str) -> Request<X> {
        self.request(kind, path, &[path.as_bytes(), b"\0"])
    }

    /// A request about `path`, which the parts contain.
    fn request(&self, kind: XsMessageType, path: &str, parts: &[&[u8]]) -> Request<X> {
        let message = path::check(path).and_then(|()| encode(kind, self.transaction, parts));
        Request::new(self.inner.clone(), message)
    }
}

impl<X: Platform> Connection<X> {
    /// Looks at the state, alone, and wakes who waits if there is news.
    fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        let (result, news) = {
            let state = &mut *self.state.lock();
            (look(state), state.take_news())
        };
        if news {
            self.waiters.wake();
        }
        result
    }

    /// Sends what a place was set aside for; an empty message is none.
    fn send_aside(&self, message: Vec<u8>) {
        if !message.is_empty() {
            // Once the ring is broken nothing is open any more.
            let _ = self.with(|state| state.issue_aside(message, true));
            self.pump();
        }
    }

    /// Moves what can be moved on the rings, and tells the daemon.
    fn pump(&self) {
        if self.with(|state| state.pump(&self.device.ring)) {
            // A daemon that can't be rung looks by itself, or never: nothing can be done here.
            let _ = self.port.send();
        }
    }
}

impl<X: Platform> Clone for XenStore<X> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), transaction: self.transaction }
    }
}

impl<X: Platform> fmt::Debug for XenStore<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transaction = self.transaction;
        f.debug_struct("XenStore").field("transaction", &transaction).finish_non_exhaustive()
    }
}

/// The names in the answer to [`XenStore::directory`].
pub fn names(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    directory.split(|byte| *byte == 0).filter(|name| !name.is_empty())
}

/// What every request gets once the daemon has written what can't be.
const BROKEN: Error = Error::Local(Errno::EIO, "the xenstore ring is broken");
const GARBAGE: Error = Error::Local(Errno::EIO, "xenstore gave an answer that can't be");
