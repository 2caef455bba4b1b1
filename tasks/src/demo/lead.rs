// SPDX-License-Identifier: MIT OR Apache-2.0
//! The granter's side of the steps: what it asks the mapper, and how it checks the result.
//!
//! A step is one or more turns, each a question to the mapper: [`Lead::before`] prepares the
//! question, [`Lead::meanwhile`] does the slow part, [`Lead::after`] checks the answer and our own
//! pages. Only the waiting is asynchronous.

use core::cell::Cell;
use core::pin::pin;

use drivers::events::Port;
use drivers::gntalloc::{Device, Export};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, DomId, Error, GrantStatus, Pages, PeerState};
use vchan::{Server, Sizes};

use super::letter::{Letter, kind};
use super::link::Link;
use super::plan::{CHANNEL, DemoPlan, PAGES, RING, SEED};
use super::report::{refused_words, ring_words, seen, tell, trips_words, words};
use super::stop::Stop;
use crate::pattern::{self, SplitMix64};
use crate::text::Text;
use crate::verdict::{Score, Why, same};

/// The turns in order; the last turn of a step has the step's number, the others 0.
const TURNS: [(u32, u32); 11] = [
    (kind::SHARE, 0),
    (kind::FILL, 1),
    (kind::READONLY, 2),
    (kind::EVENTS, 3),
    (kind::RING, 0),
    (kind::RING_END, 4),
    (kind::UNMAP, 0),
    (kind::HOLD, 0),
    (kind::LET_GO, 5),
    (kind::NOTIFY, 0),
    (kind::CLOSE, 6),
];
/// The offset of the byte to be cleared in step 6.
const BYTE: usize = 100;

/// What one run holds.
struct Lead<'r, X: Platform> {
    gntalloc: &'r Device<X>,
    plan: DemoPlan,
    /// The pages of step 1, mapped until step 5.
    shared: Option<Export<X>>,
    /// The pages of a later turn.
    held: Option<Export<X>>,
    /// A port for the events of steps 3 and 6 alone.
    bell: Option<Port<X>>,
    /// The CRC-32 of what the mapper should have read.
    crc: u32,
    /// Hypercalls that the mapper made to map.
    maps: u32,
    /// Counts from before: hypercalls, parked pages, events.
    before: u64,
    /// When the step began, in nanoseconds.
    began: u64,
}

/// Makes the grant table grow and memory get its addresses, which happens only once and must not
/// count as left behind.
pub(super) fn warm_up<X: Platform>(gntalloc: &Device<X>, peer: DomId) -> Result<(), Error> {
    gntalloc.alloc(peer, Pages(PAGES + RING + 8), Access::ReadOnly).map(drop)
}

/// All steps but the last.
pub(super) async fn all<X: Platform>(
    link: &mut Link<'_, X>,
    gntalloc: &Device<X>,
    plan: DemoPlan,
) -> Result<Score, Stop> {
    let mut score = Score::default();
    let (shared, held, bell) = (None, None, None);
    let mut lead =
        Lead { gntalloc, plan, shared, held, bell, crc: 0, maps: 0, before: 0, began: 0 };
    seen(link.services, 0);
    for (at, (kind, ends)) in TURNS.into_iter().enumerate() {
        let turned = turn(&mut lead, link, kind).await;
        seen(link.services, kind);
        let verdict = match turned {
            Ok(_) if ends == 0 => continue,
            Ok(words) => Ok(words),
            Err(Stop::Failed(why)) => Err(why),
            Err(gone) => return Err(gone),
        };
        let steps = TURNS.iter().skip(at).map(|turn| turn.1);
        let step = steps.into_iter().find(|step| *step > 0).unwrap_or_default();
        tell(link.services, &mut score, step, &verdict);
        let told = link.ask(Letter::new(kind::TELL, &[step, u32::from(verdict.is_ok())])).await;
        if verdict.is_err() {
            return Ok(score);
        }
        told?;
    }
    link.ask(Letter::new(kind::FINISH, &[0; 2])).await?;
    Ok(score)
}

async fn turn<X: Platform>(
    lead: &mut Lead<'_, X>,
    link: &mut Link<'_, X>,
    kind: u32,
) -> Result<Text, Stop> {
    let question = lead.before(link, kind)?;
    seen(link.services, kind);
    let answer = link.ask(question).await?;
    lead.meanwhile(link, kind).await?;
    Ok(lead.after(link, kind, &answer)?)
}

impl<X: Platform> Lead<'_, X> {
    /// Prepares a question.
    fn before(&mut self, link: &Link<'_, X>, kind: u32) -> Result<Letter, Why> {
        let services = link.services;
        let calls = || services.system.counters().hypercalls();
        let alloc = |pages, access| self.gntalloc.alloc(link.peer, Pages(pages), access);
        let mut args = [0; 2];
        match kind {
            kind::SHARE => {
                let before = calls();
                let export = alloc(PAGES, Access::ReadWrite)?;
                self.before = calls() - before;
                self.crc = pattern::fill_all(&export, SEED)?;
                return Ok(Letter::of(kind, &args, self.shared.insert(export)));
            }
            kind::FILL => {
                // Cleared first, so that what comes back must be the mapper's work.
                if let Some(export) = &self.shared {
                    pattern::fill_all(export, SEED + 1)?;
                }
            }
            kind::READONLY => {
                let export = alloc(1, Access::ReadOnly)?;
                self.crc = pattern::fill_all(&export, SEED)?;
                self.held = Some(export);
            }
            kind::EVENTS => {
                let bell = self.bell.insert(services.events.alloc_unbound(link.peer)?);
                args = [bell.number().0, self.plan.trips];
                self.before = bell.delivered();
            }
            kind::RING => args[0] = self.plan.bytes,
            kind::UNMAP => same("a page's state", self.other_than(PeerState::MappedRw), None)?,
            kind::HOLD => {
                let free = services.system.frames().free;
                if let Some(export) = self.shared.take() {
                    export.end()?;
                }
                let back = services.system.frames().free - free;
                same("the number of frames that came back", back, PAGES)?;
                self.held = Some(alloc(4, Access::ReadWrite)?);
                self.before = u64::from(services.gntalloc.parked());
            }
            kind::LET_GO => {
                let parked = self.held.take().map(Export::release);
                same("the number of pages parked", parked, Some(Pages(4)))?;
            }
            kind::NOTIFY => {
                let export = alloc(1, Access::ReadWrite)?;
                export.write(BYTE, &[1])?;
                self.held = Some(export);
                args[0] = BYTE as u32;
                args[1] = self.bell.as_ref().map_or(0, |bell| bell.number().0);
            }
            kind::CLOSE => self.before = self.bell.as_ref().map_or(0, Port::delivered),
            _ => {}
        }
        Ok(match &self.held {
            Some(export) => Letter::of(kind, &args, export),
            None => Letter::new(kind, &args),
        })
    }

    /// Does the slow part after the answer.
    async fn meanwhile(&mut self, link: &Link<'_, X>, kind: u32) -> Result<(), Stop> {
        let mut done = Ok(());
        match (kind, &self.bell) {
            (kind::EVENTS, Some(bell)) => {
                self.began = link.services.system.now();
                let ringing = async {
                    for _ in 0..self.plan.trips {
                        done = bell.send();
                        bell.wait().await;
                    }
                };
                link.alive(&|| bell.delivered(), pin!(ringing)).await?;
            }
            (kind::RING, _) => {
                let moved = Cell::new(0);
                let mut sent = Ok(());
                let sending = async { sent = self.send(link, &moved).await };
                link.alive(&|| moved.get(), pin!(sending)).await?;
                if let Err(why) = sent {
                    return Err(link.ended(why).await);
                }
            }
            (kind::CLOSE, Some(bell)) => {
                link.alive(&|| bell.delivered(), pin!(bell.wait_beyond(self.before))).await?;
            }
            _ => {}
        }
        Ok(done?)
    }

    /// Serves the channel once and writes the plan's bytes to it, until the mapper has read them.
    async fn send(&mut self, link: &Link<'_, X>, moved: &Cell<u64>) -> Result<(), vchan::Error> {
        let sizes = Sizes::new(1024, RING * PAGE_SIZE as u32)?;
        let mut server = Server::new(link.services.clone(), link.peer, CHANNEL, sizes)?;
        let mut stream = server.accept().await?;
        self.began = link.services.system.now();
        let (mut words, mut page) = (SplitMix64::new(SEED), [0; PAGE_SIZE]);
        let mut crc = pattern::crc();
        for number in 1..=u64::from(self.plan.bytes) / PAGE_SIZE as u64 {
            pattern::words(&mut page, &mut words);
            crc.update(&page);
            stream.write_all(&page).await?;
            moved.set(number);
        }
        self.crc = crc.finalize();
        stream.close().await
    }

    /// Checks a turn; returns the words to print if it ends a step.
    fn after(&mut self, link: &Link<'_, X>, kind: u32, answer: &Letter) -> Result<Text, Why> {
        const THE_MAPPERS: &str = "the CRC-32 that the mapper has";
        let services = link.services;
        let took = services.system.now() - self.began;
        match kind {
            kind::SHARE => {
                same(THE_MAPPERS, answer.arg(0), self.crc)?;
                self.maps = answer.arg(1);
                Ok(Text::new())
            }
            kind::FILL => {
                let back =
                    self.shared.as_ref().map(|export| pattern::sum_all(export)).transpose()?;
                same("the CRC-32 of what came back", back, Some(self.crc))?;
                let (calls, maps, crc) = (self.before, self.maps, self.crc);
                words(format_args!(
                    "{PAGES} pages rw, {calls} hypercalls to grant, {maps} to map, \
                     both crc {crc:08x}"
                ))
            }
            kind::READONLY => {
                let now = self.held.as_ref().map(|export| pattern::sum_all(export)).transpose()?;
                same("the CRC-32 of the page", now, Some(self.crc))?;
                same(THE_MAPPERS, answer.arg(0), self.crc)?;
                self.end_held()?;
                refused_words(GrantStatus(answer.arg(1) as i16))
            }
            kind::EVENTS => {
                let arrived = self.bell.as_ref().map_or(0, Port::delivered) - self.before;
                same("the number of events", arrived, u64::from(self.plan.trips))?;
                trips_words(self.plan.trips, took)
            }
            kind::RING_END => {
                same(THE_MAPPERS, answer.arg(0), self.crc)?;
                ring_words(self.plan.bytes, self.crc, took)
            }
            kind::UNMAP => {
                same("a page's state", self.other_than(PeerState::Idle), None)?;
                Ok(Text::new())
            }
            kind::LET_GO => {
                services.gntalloc.reap(u32::MAX);
                // Other shares' pages may have come back in the meantime.
                let more = u64::from(services.gntalloc.parked()).saturating_sub(self.before);
                same("the number of pages that stay parked", more, 0)?;
                words(format_args!(
                    "mapped-rw, idle, pages back; ended while mapped: parked, freed"
                ))
            }
            kind::CLOSE => {
                let mut byte = [1];
                if let Some(export) = &self.held {
                    export.read(BYTE, &mut byte)?;
                }
                same("the byte", byte, [0])?;
                self.end_held()?;
                words(format_args!("unmapped by the mapper: byte cleared, event received"))
            }
            _ => Ok(Text::new()),
        }
    }

    /// The state of a page of step 1 that is not in `state`, if there is one.
    fn other_than(&self, state: PeerState) -> Option<PeerState> {
        self.shared.as_ref().and_then(|export| export.states().find(|seen| *seen != state))
    }

    fn end_held(&mut self) -> Result<(), Why> {
        Ok(self.held.take().map_or(Ok(()), Export::end)?)
    }
}
