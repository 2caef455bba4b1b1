// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte channels for programs on Linux: [`vchan`] on top of Linux's Xen devices.
//!
//! [`Linux`] is a [`Host`], so [`vchan::Server`] and [`vchan::Client`] run on it unchanged, and the
//! other end may be a guest of ours, a program on libxenvchan, or another Linux. It needs no C
//! library: pages come from `/dev/xen/gntalloc` and `/dev/xen/gntdev`, ports from
//! `/dev/xen/evtchn`, names from xenstore. Whether a peer was destroyed is asked through
//! `/dev/xen/privcmd`. Linux makes hypercalls for root only, and in a domU for nobody: without them,
//! a server notices it by its domain, and a client doesn't.
//!
//! Run everything in [`block_on`], which is all the executor it takes:
//!
//! ```
//! use vchan::Client;
//! use vchan_linux::{Linux, block_on};
//!
//! async fn hello(domid: u16) -> Result<(), Box<dyn std::error::Error>> {
//!     let peer = drivers::DomId::new(domid).ok_or("no domid")?;
//!     let path = format!("/local/domain/{domid}/data/echo");
//!     let mut stream = Client::new(Linux::open()?, peer, &path)?.connect().await?;
//!     stream.write_all(b"hello").await?;
//!     Ok(stream.close().await?)
//! }
//!
//! // DOMID_SELF is no peer.
//! assert!(block_on(hello(0x7FF0)).is_err());
//! ```
//!
//! Requests to xenstore block the thread until they are answered, for at most 5 s each; waiting for
//! a node to change doesn't. A server for a domain that doesn't exist yet waits for it, and asks Xen
//! once a second.
//!
//! # Map
//!
//! * [`Linux`], the host, with its [`Pages`], [`Port`], [`Node`] and [`Watch`].
//! * [`block_on`], the executor.

mod device; // the ioctls
mod pages; // memory shared with another domain
mod port; // event channels
mod store; // xenstore
mod wait; // the executor

use std::sync::{Arc, Mutex, PoisonError};

use drivers::{Access, DomId, Error, GrantRef, PortNumber};
use vchan::Host;

pub use pages::Pages;
pub use port::Port;
pub use store::{Node, Watch};
pub use wait::block_on;

use store::Store;

/// The interval at which Xen is asked whether an awaited domain exists: 1 s.
const ASK_INTERVAL_NS: u64 = 1_000_000_000;

/// Linux's Xen devices, and a connection to xenstore. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Linux(Arc<Mutex<Store>>);

impl Linux {
    /// Connects to xenstore. The devices are opened when they are needed.
    ///
    /// # Errors
    /// The system's, if xenstore can't be reached.
    pub fn open() -> Result<Linux, Error> {
        Ok(Linux(Arc::new(Mutex::new(Store::connect()?))))
    }

    /// Calls `job` with the connection. A panic elsewhere leaves it usable: no message is sent or
    /// received in parts.
    fn store<T>(&self, job: impl FnOnce(&mut Store) -> T) -> T {
        job(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for Linux {
    type Pages = Pages;
    type Bell = Port;
    type Node = Node;
    type Watch = Watch;

    fn grant(&self, peer: DomId, pages: u32) -> Result<Pages, Error> {
        Pages::grant(peer, pages)
    }

    fn references(pages: &Pages) -> impl Iterator<Item = GrantRef> {
        pages.references()
    }

    fn map(&self, peer: DomId, refs: &[GrantRef], access: Access) -> Result<Pages, Error> {
        Pages::map(peer, refs, access)
    }

    fn on_end(&self, pages: &mut Pages, byte: usize, bell: &Port) -> Result<(), Error> {
        pages.on_end(byte, Self::number(bell))
    }

    fn offer(&self, peer: DomId) -> Result<Port, Error> {
        Port::offer(peer)
    }

    fn bind(&self, peer: DomId, port: PortNumber) -> Result<Port, Error> {
        Port::bind(peer, port)
    }

    fn number(bell: &Port) -> PortNumber {
        bell.number()
    }

    async fn publish(&self, path: &str, value: &[u8], reader: DomId) -> Result<Node, Error> {
        // Xenstore drops a permission for a domain that doesn't exist when it is set, and doesn't
        // apply it when that domain appears (XSA-322).
        let evtchn = device::evtchn()?;
        wait::asking(ASK_INTERVAL_NS, || device::domain_exists(&evtchn, reader)).await;
        self.store(|store| store.publish(path, value, reader))?;
        Ok(Node::new(self.clone(), path))
    }

    async fn look(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        self.store(|store| store.look(path))
    }

    async fn watch(&self, path: &str) -> Result<Watch, Error> {
        Watch::new(path)
    }

    async fn change(watch: &mut Watch) -> Result<(), Error> {
        watch.change().await
    }

    fn pause(&self, ns: u64) -> impl Future<Output = ()> {
        wait::until(wait::now().saturating_add(ns))
    }
}
