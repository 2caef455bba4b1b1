// SPDX-License-Identifier: MIT OR Apache-2.0
//! The control page with its two letter boxes, and the event channel beside it.
//!
//! The granter asks and the mapper answers. Questions are numbered from 1, and an answer repeats
//! its question's number, so a box is never overwritten before it has been read. A letter is copied
//! once into private memory and checked there.
//!
//! No wait is endless: the state of our own port shows within half a second that the peer has
//! died, and a peer that is silent for too long counts as gone.

use core::fmt;
use core::pin::{Pin, pin};

use drivers::events::{Port, PortStatus};
use drivers::memory::Platform;
use drivers::shared::SharedMut;
use drivers::{DomId, Error, Services};
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;

use super::letter::{BOXES, Letter, WORDS_AT, kind};
use super::stop::Stop;
use crate::verdict::Why;

/// Interval for checking whether the peer still lives: 400 ms.
const LOOK_NS: u64 = 400_000_000;
/// How long a living peer may be silent: 10 s; and how long one wait may take in all: 5 min.
const SILENCE_NS: u64 = 10_000_000_000;
const LONG_NS: u64 = 300_000_000_000;
/// How long a peer whose channel has ended may take to die: 500 ms.
const DYING_NS: u64 = 500_000_000;

/// One end of it.
pub struct Link<'a, X: Platform> {
    pub(super) services: &'a Services<X>,
    pub(super) peer: DomId,
    pub(super) port: &'a Port<X>,
    page: &'a dyn SharedMut,
    /// Whether this is the granter's end, which asks.
    leads: bool,
    number: u32,
}

impl<X: Platform> fmt::Debug for Link<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<'a, X: Platform> Link<'a, X> {
    /// One end, over the control page; `leads` for the granter's.
    pub fn new(
        services: &'a Services<X>,
        peer: DomId,
        port: &'a Port<X>,
        page: &'a dyn SharedMut,
        leads: bool,
    ) -> Self {
        Self { services, peer, port, page, leads, number: 0 }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Stop::Gone`] for a peer that died or is silent; [`Stop::Failed`] for an answer of another
    /// kind or number, [`kind::FAILED`] included.
    pub async fn ask(&mut self, letter: Letter) -> Result<Letter, Stop> {
        self.number = self.number.wrapping_add(1);
        self.write(&letter)?;
        let answer = self.receive().await?;
        match answer.kind() {
            kind::FAILED => Err(Why::new(format_args!("the peer can't; it says why")).into()),
            other if other == letter.kind() => Ok(answer),
            other => Err(Why::new(format_args!("the peer's answer is of kind {other}")).into()),
        }
    }

    /// Waits for the next question.
    ///
    /// # Errors
    /// As [`Link::ask`], for a question of another number.
    pub async fn question(&mut self) -> Result<Letter, Stop> {
        self.number = self.number.wrapping_add(1);
        self.receive().await
    }

    async fn receive(&self) -> Result<Letter, Stop> {
        // Yields, since none of the waits below ever blocks if the peer is always ahead.
        yield_now().await;
        let mut letter = Err(Stop::Gone(""));
        let heard = || self.port.delivered();
        self.alive(&heard, pin!(async { letter = self.read().await })).await?;
        letter
    }

    /// Answers the last question.
    ///
    /// # Errors
    /// EINVAL if the port is not open.
    pub fn answer(&self, kind: u32, args: &[u32; 2]) -> Result<(), Error> {
        self.write(&Letter::new(kind, args))
    }

    fn write(&self, letter: &Letter) -> Result<(), Error> {
        let at = BOXES[usize::from(!self.leads)];
        self.page.write(at + WORDS_AT, &letter.to_bytes())?;
        self.page.store_u32(at, self.number)?;
        self.port.send()
    }

    /// Waits until the peer's box has the expected number.
    async fn read(&self) -> Result<Letter, Stop> {
        let at = BOXES[usize::from(self.leads)];
        loop {
            let mark = self.port.delivered();
            let number = self.page.load_u32(at)?;
            if number == self.number {
                break;
            }
            if number != self.number.wrapping_sub(1) {
                return Err(Why::new(format_args!("the peer's letter has number {number}")).into());
            }
            self.port.wait_beyond(mark).await;
        }
        let mut bytes = [0; Letter::LEN];
        self.page.read(at + WORDS_AT, &mut bytes)?;
        Ok(Letter::from_bytes(&bytes))
    }

    /// Waits for `event` as long as the peer lives and `heard`, the amount received from it, keeps
    /// growing.
    ///
    /// # Errors
    /// [`Stop::Gone`].
    pub async fn alive(
        &self,
        heard: &dyn Fn() -> u64,
        event: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<(), Stop> {
        match select(event, self.watch(heard)).await {
            Either::First(()) => Ok(()),
            Either::Second(how) => Err(Stop::Gone(how)),
        }
    }

    /// Why a channel with the peer ended. A peer that dies takes its channel along, which may notice
    /// it first; only one that lives on has failed.
    pub async fn ended(&self, why: vchan::Error) -> Stop {
        let xen = &self.services.system;
        let due = xen.now().saturating_add(DYING_NS);
        while why == vchan::Error::Closed && xen.now() < due {
            if !is_bound(self.port, self.peer) {
                return Stop::Gone("is gone");
            }
            xen.sleep_until(xen.now() + DYING_NS / 50).await;
        }
        why.into()
    }

    /// Completes when the peer has closed its end, was silent too long or took too long; returns
    /// what to print about it.
    async fn watch(&self, heard: &dyn Fn() -> u64) -> &'static str {
        let xen = &self.services.system;
        let began = xen.now();
        let (mut last, mut since) = (heard(), began);
        loop {
            xen.sleep_until(xen.now() + LOOK_NS).await;
            if !is_bound(self.port, self.peer) {
                return "is gone";
            }
            if last != heard() {
                (last, since) = (heard(), xen.now());
            }
            if xen.now() - since > SILENCE_NS || xen.now() - began > LONG_NS {
                return "says nothing any more";
            }
        }
    }
}

/// Whether a port is bound to one of `peer`'s.
pub fn is_bound<X: Platform>(port: &Port<X>, peer: DomId) -> bool {
    matches!(port.status(), Ok(PortStatus::Interdomain(domid, _)) if domid == peer.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drivers::{Access, Pages};
    use fake_xen::{Pair, Task};

    /// How a run ends if the channel closes, and the peer dies so many milliseconds later.
    fn ended(dies_after_ms: u64) -> (Stop, u64) {
        let Pair { world, alice, bob } = Pair::new();
        let page = alice.gntalloc.open().alloc(bob.domid, Pages(1), Access::ReadWrite).unwrap();
        let port = alice.events.alloc_unbound(bob.domid).unwrap();
        let peers = bob.events.bind_interdomain(alice.domid, port.number()).unwrap();
        let mut how = None;
        let ends = async {
            let link = Link::new(&alice, bob.domid, &port, &page, true);
            how = Some((link.ended(vchan::Error::Closed).await, alice.system.now()));
        };
        let dies = async {
            bob.system.sleep_until(dies_after_ms * 1_000_000).await;
            drop(peers);
        };
        world.run([Task::new(&alice.events, ends), Task::new(&bob.events, dies)]);
        how.expect("it ends")
    }

    #[test]
    fn a_peer_that_dies_right_after_its_channel_is_gone_and_has_failed_nothing() {
        for ms in [0, 1, 300, 450] {
            assert!(matches!(ended(ms).0, Stop::Gone("is gone")), "{ms}");
        }
    }

    #[test]
    fn a_peer_that_closes_the_channel_and_lives_on_has_failed() {
        let (how, at) = ended(2000);
        assert!(matches!(how, Stop::Failed(_)), "{how}");
        assert!(at < 600_000_000, "{at}");
    }
}
