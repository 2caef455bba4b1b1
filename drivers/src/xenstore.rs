// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore: the tree of small values that the toolstack and all guests share.
//!
//! A request is a message on a ring served by a daemon; its answer carries the same number, so many
//! tasks can ask at once. Watch events come unasked, between a request and its answer. Each waiting
//! task moves the ring for all of them, and wakes those that got something.
//!
//! Everything is bounded: unanswered requests (16), a watch's queue, the length of an answer.
//! Answers not yet fetched are as many as there are live [`Request`]s, which their owners must
//! bound. A dropped future leaves its request behind: it is sent completely and its answer is
//! discarded, so the stream stays intact.
//!
//! Whatever is opened at the daemon (a transaction, a watch, a published node) is closed even when
//! memory runs out: the message that closes it and a place in the request queue are set aside
//! beforehand, and the answer to a change can be read without allocating.
//!
//! It refuses to trust the daemon: impossible indices end the connection with one error for
//! everyone, and an invalid answer is an error for its request.

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

use crate::lock::Mutex;
use xen_sys::io::xs_wire::XsMessageType;

pub use self::message::decimal;
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

/// This domain's connection to xenstore. Clones share the connection.
pub struct XenStore<X: Platform> {
    inner: Arc<Connection<X>>,
    /// The transaction that requests belong to; 0 for none.
    transaction: u32,
}

struct Connection<X: Platform> {
    device: XenstoreDevice<X>,
    port: Port<X>,
    state: Mutex<State>,
    /// Tasks that wait for an answer, a watch event, or room for a request.
    waiters: WaitList,
    /// Tasks that wait until the reader of a published node is awaited.
    on_expect: WaitList,
    events: Events<X>,
    /// Our own domid, the owner of what we write.
    domid: DomId,
}

impl<X: Platform> XenStore<X> {
    /// Connects over this device.
    ///
    /// # Errors
    /// ENOMEM; EINVAL if the device has no valid port.
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

    /// Reads a node's value. A path without a leading slash is relative to our own
    /// `/local/domain/<domid>`.
    ///
    /// # Errors
    /// What xenstore says: a guest gets ENOENT or EACCES if the node doesn't exist. EINVAL or
    /// E2BIG, before anything is sent, for a path that is not one or is too long; ENOMEM; EIO once
    /// the ring is broken.
    pub fn read(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::READ, path)
    }

    /// Sets a node's value, and creates missing parent nodes.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota.
    pub fn write(&self, path: &str, value: &[u8]) -> Request<X> {
        self.request(XsMessageType::WRITE, path, &[path.as_bytes(), b"\0", value])
    }

    /// Lists the names of a node's children, each terminated by a zero byte: see [`names`].
    ///
    /// # Errors
    /// As [`XenStore::read`]; E2BIG if they don't fit in 4096 bytes.
    pub fn directory(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::DIRECTORY, path)
    }

    /// Creates a node with an empty value, unless it already exists.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota.
    pub fn mkdir(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::MKDIR, path)
    }

    /// Removes a node and everything below it. A missing node is not an error if its parent exists.
    ///
    /// # Errors
    /// As [`XenStore::read`].
    pub fn remove(&self, path: &str) -> Request<X> {
        self.on_path(XsMessageType::RM, path)
    }

    /// Requests the removal of a node without waiting for the answer. If memory runs out, or while
    /// 64 requests are pending, the node stays. (The node of a dropped [`Publication`] never
    /// stays.)
    pub fn remove_later(&self, path: &str) {
        if let Ok(message) = encode(XsMessageType::RM, self.transaction, &[path.as_bytes(), b"\0"])
        {
            self.inner.with(|state| state.post(message));
            self.inner.pump();
        }
    }

    /// Reads a node's permissions. The first entry names its owner and what all others may do.
    ///
    /// # Errors
    /// As [`XenStore::read`]; EIO for an answer that is not a list of permissions.
    pub async fn permissions(&self, path: &str) -> Result<Vec<Permission>, Error> {
        permissions::parse(&self.on_path(XsMessageType::GET_PERMS, path).await?)
    }

    /// Sets a node's permissions. C xenstored ignores an entry for a domain that doesn't exist,
    /// even once it does: see [`XenStore::publish`].
    ///
    /// # Errors
    /// As [`XenStore::read`]; EDQUOT or ENOSPC beyond a quota.
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

    /// Creates a request about `path`, which `parts` contains.
    fn request(&self, kind: XsMessageType, path: &str, parts: &[&[u8]]) -> Request<X> {
        let message = path::check(path).and_then(|()| encode(kind, self.transaction, parts));
        Request::new(self.inner.clone(), message)
    }
}

impl<X: Platform> Connection<X> {
    /// Runs `look` on the locked state, then wakes the waiters if there is news.
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

    /// Sends a message for which a place was set aside; does nothing if it is empty.
    fn send_aside(&self, message: Vec<u8>) {
        if !message.is_empty() {
            // Once the ring is broken, there is nothing left to close.
            let _ = self.with(|state| state.issue_aside(message, true));
            self.pump();
        }
    }

    /// Moves what can be moved on the rings, and notifies the daemon.
    fn pump(&self) {
        if self.with(|state| state.pump(&self.device.ring)) {
            // If the daemon can't be notified, nothing can be done here.
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

/// Iterates over the names in an answer to [`XenStore::directory`].
pub fn names(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    directory.split(|byte| *byte == 0).filter(|name| !name.is_empty())
}

/// The error of every request once the daemon has written impossible indices or an impossible
/// length.
const BROKEN: Error = Error::Local(Errno::EIO, &"the xenstore ring is broken");
const GARBAGE: Error = Error::Local(Errno::EIO, &"xenstore gave an invalid answer");
