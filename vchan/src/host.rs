// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server and a client need from their platform: shared pages, ports and xenstore.
//!
//! [`drivers::Services`] is one host. An implementor for another platform writes no protocol code.

use alloc::vec::Vec;
use core::fmt;

use drivers::shared::SharedBits;
use drivers::{Access, DomId, Error, GrantRef, PortNumber};

use crate::{Bell, Stream};

/// A host's stream, at either end.
pub type StreamOn<H> = Stream<<H as Host>::Pages, <H as Host>::Bell>;

/// The platform that a channel runs on. Clones refer to the same one.
pub trait Host: Clone {
    /// Shared pages, granted or mapped by us. Dropping releases them.
    type Pages: SharedBits + fmt::Debug;
    /// One end of an event channel. Dropping it closes it.
    type Bell: Bell + fmt::Debug;
    /// A node in xenstore that a peer may read. Dropping it removes the node and everything below.
    type Node: fmt::Debug;
    /// A watch of a node.
    type Watch: fmt::Debug;

    /// Grants `pages` zeroed pages to `peer`, for reading and writing.
    ///
    /// # Errors
    /// The system's, with nothing changed.
    fn grant(&self, peer: DomId, pages: u32) -> Result<Self::Pages, Error>;

    /// The grant references of granted pages, in page order.
    fn references(pages: &Self::Pages) -> impl Iterator<Item = GrantRef>;

    /// Maps pages of `peer`, all or none.
    ///
    /// # Errors
    /// The system's, with nothing changed.
    fn map(&self, peer: DomId, refs: &[GrantRef], access: Access) -> Result<Self::Pages, Error>;

    /// From now on, whenever these pages are released, even by the program's end, first the byte at
    /// this offset is cleared, then the peer of `bell` gets an event.
    ///
    /// # Errors
    /// The system's.
    fn on_end(&self, pages: &mut Self::Pages, byte: usize, bell: &Self::Bell) -> Result<(), Error>;

    /// Opens a port that `peer` may bind.
    ///
    /// # Errors
    /// The system's.
    fn offer(&self, peer: DomId) -> Result<Self::Bell, Error>;

    /// Binds a port that `peer` offers.
    ///
    /// # Errors
    /// EINVAL if it isn't offered to us or is already bound; ESRCH if `peer` doesn't exist; others
    /// of the system.
    fn bind(&self, peer: DomId, port: PortNumber) -> Result<Self::Bell, Error>;

    /// The number of our port.
    fn number(bell: &Self::Bell) -> PortNumber;

    /// Writes a node that `reader` may read, whether that domain exists already or starts later.
    ///
    /// # Errors
    /// Xenstore's.
    fn publish(
        &self,
        path: &str,
        value: &[u8],
        reader: DomId,
    ) -> impl Future<Output = Result<Self::Node, Error>>;

    /// The value of a node; `None` if it doesn't exist or we may not read it.
    ///
    /// # Errors
    /// Xenstore's others.
    fn look(&self, path: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>>;

    /// Watches a node. The first event comes immediately.
    ///
    /// # Errors
    /// Xenstore's.
    fn watch(&self, path: &str) -> impl Future<Output = Result<Self::Watch, Error>>;

    /// Waits until the node may have changed.
    ///
    /// # Errors
    /// Xenstore's, if the watch is lost.
    fn change(watch: &mut Self::Watch) -> impl Future<Output = Result<(), Error>>;

    /// Waits for `ns` nanoseconds.
    fn pause(&self, ns: u64) -> impl Future<Output = ()>;
}
