//! What the two talk through: a page with two letter boxes, and an event channel.
//!
//! The granter asks, the mapper answers; each question has a number, which its answer repeats, so
//! a box is never written before it was read. A letter is copied once into memory of our own and
//! judged there. Nobody waits for ever: a peer that died shows within half a second in the state
//! of our own port, and one that is silent for too long counts as gone.

use alloc::boxed::Box;
use core::fmt;
use core::pin::{Pin, pin};

use drivers::events::{Port, PortStatus};
use drivers::gntalloc::Export;
use drivers::memory::Platform;
use drivers::shared::SharedMut;
use drivers::{DomId, Error, ForeignGrant, GrantRef, Services};
use embassy_futures::select::{Either, select};

use super::Stop;
use crate::verdict::Why;

/// Where the boxes are in the page: a number that is written last, and words 16 bytes behind it.
pub const BOXES: [usize; 2] = [0, 2048];
/// Where a letter's words begin, in bytes from its start.
pub const WORDS_AT: usize = 16;
/// Words of a letter before its references.
const HEAD: usize = 4;
/// References in a letter.
const REFS: usize = super::PAGES as usize;
/// How often a look at the port tells whether the peer lives: every 400 ms.
const LOOK_NS: u64 = 400_000_000;
/// How long a peer that lives may say nothing: 10 s; and how long one that does may take: 5 min.
const SILENCE_NS: u64 = 10_000_000_000;
const LONG_NS: u64 = 300_000_000_000;

/// What a letter is about.
pub mod kind {
    /// Map these pages, and sum them.
    pub const SHARE: u32 = 1;
    /// Fill them.
    pub const FILL: u32 = 2;
    /// Try what may be done with a read-only page.
    pub const READONLY: u32 = 3;
    /// Bind this port, and send back so many events.
    pub const EVENTS: u32 = 4;
    /// Map this ring, and read so many bytes from it.
    pub const RING: u32 = 5;
    /// Tell what was read.
    pub const RING_END: u32 = 6;
    /// Unmap what is mapped.
    pub const UNMAP: u32 = 7;
    /// Map these pages, and keep them.
    pub const HOLD: u32 = 8;
    /// Unmap what we have let go of.
    pub const LET_GO: u32 = 9;
    /// Map this page with a handle of its own, which clears a byte and rings when it closes.
    pub const NOTIFY: u32 = 10;
    /// Close that handle.
    pub const CLOSE: u32 = 11;
    /// Say on the console how a step went.
    pub const TELL: u32 = 12;
    /// The end.
    pub const FINISH: u32 = 13;
    /// The answer of who can't do what was asked.
    pub const FAILED: u32 = 14;
}

/// A letter, in memory of our own.
#[derive(Clone, Copy)]
pub struct Letter([u32; HEAD + REFS]);

impl Letter {
    /// A letter of ours.
    pub fn new(kind: u32, args: &[u32; 2]) -> Self {
        let mut words = [0; HEAD + REFS];
        words[0] = kind;
        words[2..4].copy_from_slice(args);
        Self(words)
    }

    /// A letter of any words; the rest is 0.
    pub fn of_words(head: &[u32]) -> Self {
        let mut words = [0; HEAD + REFS];
        words[..head.len()].copy_from_slice(head);
        Self(words)
    }

    /// A letter with the references of an export.
    pub fn of<X: Platform>(kind: u32, args: &[u32; 2], export: &Export<X>) -> Self {
        let mut letter = Self::new(kind, args);
        let (head, refs) = letter.0.split_at_mut(HEAD);
        for (word, gref) in refs.iter_mut().zip(export.grefs()) {
            *word = gref.0;
            head[1] += 1;
        }
        letter
    }

    /// What it is about.
    pub fn kind(&self) -> u32 {
        self.0[0]
    }

    /// One of its 2 arguments.
    pub fn arg(&self, at: usize) -> u32 {
        self.0[2 + at]
    }

    /// Its references, as claims of `domid`'s.
    pub fn grants(&self, domid: DomId) -> Result<([ForeignGrant; REFS], usize), Why> {
        let count = self.0[1] as usize;
        if count > REFS {
            return Err(Why::new(format_args!("a letter claims {count} references")));
        }
        let claim = |gref: &u32| ForeignGrant { domid: domid.get(), gref: GrantRef(*gref) };
        Ok((core::array::from_fn(|at| claim(&self.0[HEAD + at])), count))
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(&&self.0[..HEAD]).finish()
    }
}

/// A future that is polled by its address: many places wait for it, and few know its parts.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One end.
pub struct Link<'a, X: Platform> {
    pub(super) services: &'a Services<X>,
    pub(super) peer: DomId,
    pub(super) port: &'a Port<X>,
    page: &'a dyn SharedMut,
    /// Whether we are the one who asks.
    leads: bool,
    number: u32,
}

impl<X: Platform> fmt::Debug for Link<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<'a, X: Platform> Link<'a, X> {
    /// A link over the first shared page.
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
    /// [`Stop::Failed`] also for the answer that the peer can't.
    pub fn ask(&mut self, letter: Letter) -> Boxed<'_, Result<Letter, Stop>> {
        Box::pin(async move {
            self.number = self.number.wrapping_add(1);
            self.write(&letter)?;
            let answer = self.receive().await?;
            match answer.kind() {
                kind::FAILED => Err(Why::new(format_args!("the peer can't; it says why")).into()),
                other if other == letter.kind() => Ok(answer),
                other => Err(Why::new(format_args!("the peer's answer is of kind {other}")).into()),
            }
        })
    }

    /// Waits for the next question.
    pub fn next(&mut self) -> Boxed<'_, Result<Letter, Stop>> {
        Box::pin(async move {
            self.number = self.number.wrapping_add(1);
            self.receive().await
        })
    }

    async fn receive(&self) -> Result<Letter, Stop> {
        let mut letter = Err(Stop::Gone(""));
        self.alive(self.port, pin!(async { letter = self.read().await })).await?;
        letter
    }

    /// Answers the last question.
    pub fn answer(&self, kind: u32, args: &[u32; 2]) -> Result<(), Error> {
        self.write(&Letter::new(kind, args))
    }

    fn write(&self, letter: &Letter) -> Result<(), Error> {
        let at = BOXES[usize::from(!self.leads)];
        let mut bytes = [0; 4 * (HEAD + REFS)];
        for (to, word) in bytes.chunks_exact_mut(4).zip(letter.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.page.write(at + WORDS_AT, &bytes)?;
        self.page.store_u32(at, self.number)?;
        self.port.send()
    }

    /// Waits until the peer's box has the number it's to have.
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
        let mut bytes = [0; 4 * (HEAD + REFS)];
        self.page.read(at + WORDS_AT, &mut bytes)?;
        let mut words = [0; HEAD + REFS];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*from);
        }
        Ok(Letter(words))
    }

    /// Waits for `event`, for as long as the peer lives and lets us hear something at `port`.
    pub async fn alive(
        &self,
        port: &Port<X>,
        event: Pin<&mut dyn Future<Output = ()>>,
    ) -> Result<(), Stop> {
        match select(event, self.watch(port)).await {
            Either::First(()) => Ok(()),
            Either::Second(how) => Err(Stop::Gone(how)),
        }
    }

    /// Completes when the peer has closed its end, was silent for too long, or kept us for too
    /// long; with what to say of it.
    fn watch<'p>(&'p self, port: &'p Port<X>) -> Boxed<'p, &'static str> {
        Box::pin(async move {
            let xen = &self.services.xen;
            let began = xen.now();
            let (mut heard, mut since) = (port.delivered(), began);
            loop {
                xen.sleep_until(xen.now() + LOOK_NS).await;
                if !is_bound(self.port, self.peer) {
                    return "is gone";
                }
                if heard != port.delivered() {
                    (heard, since) = (port.delivered(), xen.now());
                }
                if xen.now() - since > SILENCE_NS || xen.now() - began > LONG_NS {
                    return "says nothing any more";
                }
            }
        })
    }
}

/// Whether a port leads to `peer`.
pub fn is_bound<X: Platform>(port: &Port<X>, peer: DomId) -> bool {
    matches!(port.status(), Ok(PortStatus::Interdomain(domid, _)) if domid == peer.get())
}
