// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both directions of a stream share: the page, the event channel, and whether the peer is
//! there.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use drivers::shared::SharedBits;
use embassy_futures::select::{Either, select};

use crate::layout::{
    CLIENT_LIVE, CLIENT_NOTIFY, CLOSED, LEFT, Order, RIGHT, SERVER_LIVE, SERVER_NOTIFY, STATE,
    Sizes,
};
use crate::turn::Turn;
use crate::{Bell, Error};

/// Interval at which a waiting end asks Xen whether a silent peer still exists: 400 ms. Xen doesn't
/// announce that a domain was destroyed.
const LOOK_NS: u64 = 400_000_000;

/// Which end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The end that grants the pages.
    Server,
    /// The end that maps them.
    Client,
}

impl Side {
    pub(crate) fn live(self) -> usize {
        if self == Side::Server { SERVER_LIVE } else { CLIENT_LIVE }
    }

    fn peers_live(self) -> usize {
        if self == Side::Server { CLIENT_LIVE } else { SERVER_LIVE }
    }

    /// The byte in which we request notifications; the peer clears it.
    pub(crate) fn asks(self) -> usize {
        if self == Side::Server { CLIENT_NOTIFY } else { SERVER_NOTIFY }
    }

    /// The byte in which the peer requests notifications; we clear it.
    fn peer_asks(self) -> usize {
        if self == Side::Server { SERVER_NOTIFY } else { CLIENT_NOTIFY }
    }
}

/// Our end of a channel, without the state of its two rings.
///
/// Fields are dropped in this order: the page's unmap notification clears our live byte and
/// notifies the peer, and only then the event channel closes.
#[derive(Debug)]
pub(crate) struct Link<P, B> {
    pub(crate) page: P,
    /// The pages of the ring that we write, and of the one that we read; `None` for a ring in the
    /// shared page.
    pub(crate) out: Option<P>,
    pub(crate) into: Option<P>,
    pub(crate) bell: B,
    pub(crate) side: Side,
    /// When to ask Xen next whether the peer exists.
    next_look: AtomicU64,
    /// Xen has reported that the peer's end is closed.
    gone: AtomicBool,
    /// The peer has written something invalid.
    broken: AtomicBool,
    /// Number of events sent to the peer.
    rung: AtomicU64,
}

/// Our end of one ring.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Size in bytes, a power of two.
    pub(crate) size: u32,
    /// Our own index: how much we have written or read.
    pub(crate) index: u32,
    /// The offsets in the shared page of our published index, and of the peer's.
    pub(crate) own: usize,
    pub(crate) peers: usize,
    /// Where the bytes begin.
    pub(crate) start: usize,
    pub(crate) turn: Turn,
}

impl Ring {
    /// The ring that `side` writes, from `index` on.
    pub(crate) fn out(side: Side, sizes: Sizes, index: u32) -> Self {
        let (order, at) = match side {
            Side::Server => (sizes.right(), RIGHT),
            Side::Client => (sizes.left(), LEFT),
        };
        Self::new(order, index, at.prod, at.cons)
    }

    /// The ring that `side` reads, from `index` on.
    pub(crate) fn into(side: Side, sizes: Sizes, index: u32) -> Self {
        let (order, at) = match side {
            Side::Server => (sizes.left(), LEFT),
            Side::Client => (sizes.right(), RIGHT),
        };
        Self::new(order, index, at.cons, at.prod)
    }

    fn new(order: Order, index: u32, own: usize, peers: usize) -> Self {
        let (start, size) = (order.in_page().unwrap_or(0), order.bytes());
        Self { size, index, own, peers, start, turn: Turn::new(size) }
    }

    /// Splits `len` bytes, starting `skip` bytes after our index, at the ring's end. Returns the
    /// first part's offset in the ring's pages and its length; the second part begins at the ring's
    /// start.
    pub(crate) fn place(&self, skip: u32, len: usize) -> (usize, usize) {
        let at = self.index.wrapping_add(skip) & (self.size - 1);
        (self.start + at as usize, len.min((self.size - at) as usize))
    }
}

impl<P: SharedBits, B: Bell> Link<P, B> {
    /// An open end, for now with both rings in the shared page.
    pub(crate) fn new(side: Side, page: P, bell: B) -> Self {
        let (gone, broken) = (AtomicBool::new(false), AtomicBool::new(false));
        let next_look = AtomicU64::new(0);
        let rung = AtomicU64::new(0);
        let (out, into) = (None, None);
        Self { page, out, into, bell, side, next_look, gone, broken, rung }
    }

    /// The bytes of the ring that we write.
    pub(crate) fn out(&self) -> &P {
        self.out.as_ref().unwrap_or(&self.page)
    }

    /// The bytes of the ring that we read.
    pub(crate) fn into(&self) -> &P {
        self.into.as_ref().unwrap_or(&self.page)
    }

    /// Whether the peer's end is open: the peer says so, and Xen has not said otherwise.
    pub(crate) fn is_peer_live(&self) -> Result<bool, Error> {
        let said = self.state(self.side.peers_live())? != CLOSED;
        Ok(said && !self.gone.load(Ordering::Relaxed))
    }

    /// One of the four state bytes.
    pub(crate) fn state(&self, at: usize) -> Result<u8, Error> {
        // Read as a word, with the ordering that makes earlier writes visible.
        let bytes = self.page.load_u32(STATE)?.to_le_bytes();
        Ok(bytes.get(at - STATE).copied().unwrap_or(CLOSED))
    }

    /// How many bytes a ring holds: the distance between the writer's and the reader's index. One
    /// is ours; the other is read once, here.
    ///
    /// # Errors
    /// [`Error::PeerViolation`] for an impossible index, and from then on always.
    pub(crate) fn used(&self, ring: &Ring) -> Result<u32, Error> {
        let peers = self.page.load_u32(ring.peers)?;
        let used = if ring.own > ring.peers {
            ring.index.wrapping_sub(peers)
        } else {
            peers.wrapping_sub(ring.index)
        };
        if used > ring.size {
            self.broken.store(true, Ordering::Relaxed);
        }
        if self.broken.load(Ordering::Relaxed) { Err(BROKEN) } else { Ok(used) }
    }

    /// Advances our index and publishes it.
    pub(crate) fn publish(&self, ring: &mut Ring, moved: u32) -> Result<(), Error> {
        ring.index = ring.index.wrapping_add(moved);
        ring.turn.count(moved);
        Ok(self.page.store_u32(ring.own, ring.index)?)
    }

    /// Requests an event for what `bit` names. This step is ordered against the peer's
    /// [`Link::answer`]: either it comes first and the peer sees the bit, or our following read
    /// sees what the peer did before.
    pub(crate) fn ask(&self, bit: u8) -> Result<(), Error> {
        self.page.fetch_or_u8(self.side.asks(), bit)?;
        Ok(())
    }

    /// Whether the peer requested an event for `bit`. Clears the bit, so that there is only one
    /// event.
    pub(crate) fn answer(&self, bit: u8) -> Result<bool, Error> {
        Ok(self.page.fetch_and_u8(self.side.peer_asks(), !bit)? & bit != 0)
    }

    /// Sends the peer an event.
    pub(crate) fn ring(&self) -> Result<(), Error> {
        self.rung.fetch_add(1, Ordering::Relaxed);
        Ok(self.bell.ring()?)
    }

    /// How many events were sent to the peer.
    pub(crate) fn rung(&self) -> u64 {
        self.rung.load(Ordering::Relaxed)
    }

    /// Waits for an event later than `mark`, or until the peer is found to be gone.
    pub(crate) async fn wait(&self, mark: u64) {
        while !self.gone.load(Ordering::Relaxed) {
            let due = self.next_look.load(Ordering::Relaxed);
            let event = self.bell.wait_beyond(mark);
            if let Either::First(()) = select(event, self.bell.sleep_until(due)).await {
                return;
            }
            // All waits share one deadline until it passes, so they arm no timer each.
            self.next_look.store(self.bell.now().saturating_add(LOOK_NS), Ordering::Relaxed);
            self.gone.store(!self.bell.is_bound(), Ordering::Relaxed);
        }
    }
}

const BROKEN: Error = Error::PeerViolation("an index of a ring that can't be");
