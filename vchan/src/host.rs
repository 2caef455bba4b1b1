// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server and a client need of the machine: shared pages, ports and xenstore.
//!
//! [`drivers::Services`] is one host. An implementor for another kind of memory writes no protocol.

use alloc::vec::Vec;
use core::fmt;

use drivers::shared::SharedBits;
use drivers::{Access, DomId, Error, GrantRef, PortNumber};

use crate::{Bell, Stream};

/// The stream of a machine, at either end.
pub type StreamOn<H> = Stream<<H as Host>::Pages, <H as Host>::Bell>;

/// The machine that a channel is made on. Clones are the same machine.
pub trait Host: Clone {
    /// Shared pages, granted by us or mapped. Dropping them lets go of them.
    type Pages: SharedBits + fmt::Debug;
    /// One end of an event channel. Dropping it closes it.
    type Bell: Bell + fmt::Debug;
    /// A node in xenstore that a peer may read. Dropping it removes it and all below it.
    type Node: fmt::Debug;
    /// A watch of a node.
    type Watch: fmt::Debug;

    /// Grants so many zeroed pages to `peer`, for reading and writing.
    ///
    /// # Errors
    /// The system's, with nothing changed.
    fn grant(&self, peer: DomId, pages: u32) -> Result<Self::Pages, Error>;

    /// The references of pages that were granted, in page order.
    fn references(pages: &Self::Pages) -> impl Iterator<Item = GrantRef>;

    /// Maps pages of `peer`'s, all or none.
    ///
    /// # Errors
    /// The system's, with nothing changed.
    fn map(&self, peer: DomId, refs: &[GrantRef], access: Access) -> Result<Self::Pages, Error>;

    /// From now on, when these pages are let go of in whatever way, the program's end included,
    /// the byte at this offset is cleared first, and then the peer of `bell` is rung.
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
    /// EINVAL if it's not offered to us, or bound by somebody else; ESRCH if `peer` is not there;
    /// others of the system's.
    fn bind(&self, peer: DomId, port: PortNumber) -> Result<Self::Bell, Error>;

    /// The number of a port of ours.
    fn number(bell: &Self::Bell) -> PortNumber;

    /// Writes a node that `reader` may read, whether it's there already or comes later.
    ///
    /// # Errors
    /// Xenstore's.
    fn publish(
        &self,
        path: &str,
        value: &[u8],
        reader: DomId,
    ) -> impl Future<Output = Result<Self::Node, Error>>;

    /// The value of a node; `None` if there is none that we may read.
    ///
    /// # Errors
    /// Xenstore's others.
    fn look(&self, path: &str) -> impl Future<Output = Result<Option<Vec<u8>>, Error>>;

    /// Watches a node. The first change is told at once.
    ///
    /// # Errors
    /// Xenstore's.
    fn watch(&self, path: &str) -> impl Future<Output = Result<Self::Watch, Error>>;

    /// Waits until the node may have changed.
    ///
    /// # Errors
    /// Xenstore's, if the watch is lost.
    fn change(watch: &mut Self::Watch) -> impl Future<Output = Result<(), Error>>;

    /// Waits so many nanoseconds.
    fn pause(&self, ns: u64) -> impl Future<Output = ()>;
}
