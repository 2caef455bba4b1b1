// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both directions of a stream have in common: the shared page, the event channel, and
//! whether the peer is there.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use drivers::shared::SharedBits;
use embassy_futures::select::{Either, select};

use crate::layout::{
    CLIENT_LIVE, CLIENT_NOTIFY, CLOSED, LEFT, Order, RIGHT, SERVER_LIVE, SERVER_NOTIFY, STATE,
    Sizes,
};
use crate::turn::Turn;
use crate::{Bell, Error};

/// How often Xen is asked whether a peer that says nothing is there, while somebody waits for it:
/// every 400 ms. It doesn't tell by itself when a domain is destroyed.
const LOOK_NS: u64 = 400_000_000;

/// Which end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that shares the pages.
    Server,
    /// The one that maps them.
    Client,
}

impl Side {
    pub(crate) fn live(self) -> usize {
        if self == Side::Server { SERVER_LIVE } else { CLIENT_LIVE }
    }

    fn peers_live(self) -> usize {
        if self == Side::Server { CLIENT_LIVE } else { SERVER_LIVE }
    }

    /// The byte in which we ask to be told; the peer clears it.
    pub(crate) fn asks(self) -> usize {
        if self == Side::Server { CLIENT_NOTIFY } else { SERVER_NOTIFY }
    }

    /// The byte in which the peer asks; we clear it.
    fn peer_asks(self) -> usize {
        if self == Side::Server { SERVER_NOTIFY } else { CLIENT_NOTIFY }
    }
}

/// Our end of a channel, without the state of its two rings.
///
/// The field order is that of letting go: the page's own notice clears our live byte and rings the
/// peer, and the channel closes after it.
#[derive(Debug)]
pub(crate) struct Link<P, B> {
    pub(crate) page: P,
    /// The pages of the ring that we write, and of the one that we read; `None` in the page.
    pub(crate) out: Option<P>,
    pub(crate) into: Option<P>,
    pub(crate) bell: B,
    pub(crate) side: Side,
    /// When Xen is asked next whether the peer is there.
    next_look: AtomicU64,
    /// Xen said that the peer's end is closed.
    gone: AtomicBool,
    /// The peer wrote what can't be.
    broken: AtomicBool,
    /// Events that were sent to the peer.
    rung: AtomicU64,
}

/// Our end of one ring.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Bytes, a power of two.
    pub(crate) size: u32,
    /// Our own index: how much we have written or read.
    pub(crate) index: u32,
    /// Where in the shared page the index that we publish is, and the peer's.
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

    /// Splits `len` bytes from `skip` behind our index on at the ring's end: where the first part
    /// is in the ring's pages, and how long it is. The second begins at the ring's start.
    pub(crate) fn place(&self, skip: u32, len: usize) -> (usize, usize) {
        let at = self.index.wrapping_add(skip) & (self.size - 1);
        (self.start + at as usize, len.min((self.size - at) as usize))
    }
}

impl<P: SharedBits, B: Bell> Link<P, B> {
    /// An end that is open, with both rings in the page as yet.
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

    /// Whether the peer's end is open, as far as it says so and Xen has not said otherwise.
    pub(crate) fn is_peer_live(&self) -> Result<bool, Error> {
        let said = self.state(self.side.peers_live())? != CLOSED;
        Ok(said && !self.gone.load(Ordering::Relaxed))
    }

    /// One of the four bytes of the state.
    pub(crate) fn state(&self, at: usize) -> Result<u8, Error> {
        // As a word, so that what was written before it is seen.
        let bytes = self.page.load_u32(STATE)?.to_le_bytes();
        Ok(bytes.get(at - STATE).copied().unwrap_or(CLOSED))
    }

    /// How many bytes a ring holds: between the writer's index and the reader's, of which one is
    /// ours and the other is read once, here.
    ///
    /// # Errors
    /// [`Error::PeerViolation`] for an index that can't be, and for ever after.
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

    /// Moves our index on, for the peer to see.
    pub(crate) fn publish(&self, ring: &mut Ring, moved: u32) -> Result<(), Error> {
        ring.index = ring.index.wrapping_add(moved);
        ring.turn.count(moved);
        Ok(self.page.store_u32(ring.own, ring.index)?)
    }

    /// Asks the peer to ring when it has done what `bit` says. The step is ordered against
    /// [`Link::answer`]'s of the peer: either it comes first and the peer sees the bit, or what the
    /// peer did before is seen by the look that follows.
    pub(crate) fn ask(&self, bit: u8) -> Result<(), Error> {
        self.page.fetch_or_u8(self.side.asks(), bit)?;
        Ok(())
    }

    /// Whether the peer asked to be told what `bit` says. The bit is cleared: it's told once.
    pub(crate) fn answer(&self, bit: u8) -> Result<bool, Error> {
        Ok(self.page.fetch_and_u8(self.side.peer_asks(), !bit)? & bit != 0)
    }

    /// Rings the peer.
    pub(crate) fn ring(&self) -> Result<(), Error> {
        self.rung.fetch_add(1, Ordering::Relaxed);
        Ok(self.bell.ring()?)
    }

    /// How often the peer was rung.
    pub(crate) fn rung(&self) -> u64 {
        self.rung.load(Ordering::Relaxed)
    }

    /// Waits for an event that comes after `mark` was taken; or until it is found that the peer is
    /// gone.
    pub(crate) async fn wait(&self, mark: u64) {
        while !self.gone.load(Ordering::Relaxed) {
            let due = self.next_look.load(Ordering::Relaxed);
            let event = self.bell.wait_beyond(mark);
            if let Either::First(()) = select(event, self.bell.sleep_until(due)).await {
                return;
            }
            // The time stays the same for all waits until it has come: no timer for each of them.
            self.next_look.store(self.bell.now().saturating_add(LOOK_NS), Ordering::Relaxed);
            self.gone.store(!self.bell.is_bound(), Ordering::Relaxed);
        }
    }
}

const BROKEN: Error = Error::PeerViolation("an index of a ring that can't be");
