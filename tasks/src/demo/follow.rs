// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mapper's side of the steps: does what the granter asks and prints the results.

use core::cell::Cell;
use core::fmt::Write;
use core::pin::pin;

use drivers::events::Port;
use drivers::gntdev::{Device, Mapping, ReadOnly, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::notify::UnmapNotify;
use drivers::{Call, ClaimedGrant, DomId, Error, GrantRef, PortNumber, Services};
use vchan::Client;

use super::letter::{Letter, kind};
use super::link::Link;
use super::plan::{CHANNEL, CLEAN, PAGES, RING, SEED};
use super::report::{clean_words, refused_words, ring_words, seen, tell, trips_words, words};
use super::stop::Stop;
use crate::pattern;
use crate::text::Text;
use crate::verdict::{InUse, Score, Why, same};

/// Maximum number of grants reserved at the same time: the control page, step 1, the ring, and a
/// few more.
const ROOM: u32 = 1 + PAGES + 1 + RING + 8;

/// What a granter offers.
pub(super) struct Offer {
    /// The control page.
    pub(super) gref: GrantRef,
    /// The event channel of both.
    pub(super) port: PortNumber,
}

/// A run, from mapping the control page to its end.
pub(super) async fn whole<X: Platform>(
    services: &Services<X>,
    granter: DomId,
    offer: Offer,
) -> Result<Score, Stop> {
    let gntdev = services.gntdev.open()?;
    gntdev.set_max_grants(ROOM)?;
    let claim = granter.grant(offer.gref);
    // Page tables are created the first time, and kept: they must not count as left behind.
    drop(gntdev.reserve(&[claim; ROOM as usize])?);
    let before = InUse::of(services);
    let page = gntdev.reserve(&[claim])?.map::<ReadWrite>()?;
    let port = services.events.bind_interdomain(granter, offer.port)?;
    port.send()?;
    let mut link = Link::new(services, granter, &port, &page, false);
    let mut follow = Follow { gntdev, shared: None, held: None, crc: 0, bell: None, verdict: None };
    let score = follow.all(&mut link).await;
    drop((follow, page, port));
    let mut score = match score {
        Ok(score) if score.failed == 0 => score,
        other => return other,
    };
    tell(services, &mut score, CLEAN, &clean_words(services, before));
    Ok(score)
}

/// What one run holds.
struct Follow<X: Platform> {
    gntdev: Device<X>,
    /// The pages of step 1.
    shared: Option<Mapping<X, ReadWrite>>,
    /// Those of a later step.
    held: Option<Mapping<X, ReadWrite>>,
    crc: u32,
    bell: Option<Port<X>>,
    /// The result of the current step, until the granter asks to print it.
    verdict: Option<Result<Text, Why>>,
}

impl<X: Platform> Follow<X> {
    /// Obeys until the granter ends the run.
    async fn all(&mut self, link: &mut Link<'_, X>) -> Result<Score, Stop> {
        let mut score = Score::default();
        seen(link.services, 0);
        loop {
            let letter = link.question().await?;
            match letter.kind() {
                kind::TELL => {
                    let step = letter.arg(0).clamp(1, CLEAN - 2);
                    let verdict = match self.verdict.take() {
                        Some(Ok(_)) | None if letter.arg(1) == 0 => {
                            Err(Why::new(format_args!("the granter says so, and why")))
                        }
                        Some(verdict) => verdict,
                        None => Err(Why::new(format_args!("the granter asked for nothing"))),
                    };
                    tell(link.services, &mut score, step, &verdict);
                    link.answer(kind::TELL, &[0; 2])?;
                    if verdict.is_err() {
                        return Ok(score);
                    }
                }
                kind::FINISH => {
                    link.answer(kind::FINISH, &[0; 2])?;
                    return Ok(score);
                }
                asked => {
                    let done = match self.obey(link, &letter) {
                        Ok(args) => {
                            if let (kind::EVENTS, Some(bell)) = (asked, &self.bell) {
                                // Binding delivers one event, for whatever was sent before.
                                link.alive(&|| bell.delivered(), pin!(bell.wait())).await?;
                            }
                            link.answer(asked, &args)?;
                            let done = self.go_on(link, &letter).await;
                            seen(link.services, asked);
                            done
                        }
                        Err(why) => {
                            link.answer(kind::FAILED, &[0; 2])?;
                            Err(Stop::Failed(why))
                        }
                    };
                    match done {
                        Ok(Some(words)) => self.verdict = Some(Ok(words)),
                        Ok(None) => {}
                        Err(Stop::Failed(why)) => self.verdict = Some(Err(why)),
                        Err(gone) => return Err(gone),
                    }
                }
            }
        }
    }

    /// Does the work that precedes the answer; returns the answer's arguments.
    fn obey(&mut self, link: &Link<'_, X>, letter: &Letter) -> Result<[u32; 2], Why> {
        let (grants, count) = letter.grants(link.peer)?;
        let grants = grants.get(..count).unwrap_or_default();
        let counters = link.services.system.counters();
        let kind = letter.kind();
        match kind {
            kind::SHARE => {
                let before = counters.calls(Call::GnttabMap);
                let mapping = self.gntdev.reserve(grants)?.map::<ReadWrite>()?;
                let maps = (counters.calls(Call::GnttabMap) - before) as u32;
                let crc = pattern::sum_all(&mapping)?;
                self.shared = Some(mapping);
                Ok([crc, maps])
            }
            kind::FILL => {
                let crc = self
                    .shared
                    .as_ref()
                    .map(|mapping| pattern::fill_all(mapping, SEED))
                    .transpose()?;
                let crc = crc.unwrap_or_default();
                self.verdict = Some(words(format_args!(
                    "{PAGES} pages rw, mapped at once, both crc {crc:08x}"
                )));
                Ok([crc, 0])
            }
            kind::READONLY => self.readonly(grants),
            kind::EVENTS => {
                let port = PortNumber(letter.arg(0));
                self.bell = Some(link.services.events.bind_interdomain(link.peer, port)?);
                Ok([0; 2])
            }
            kind::RING => Ok([0; 2]),
            kind::HOLD => {
                self.held = Some(self.gntdev.reserve(grants)?.map()?);
                Ok([0; 2])
            }
            kind::RING_END => Ok([self.crc, 0]),
            kind::UNMAP | kind::LET_GO | kind::CLOSE => {
                for mapping in [self.shared.take(), self.held.take()].into_iter().flatten() {
                    mapping.unmap()?;
                }
                if kind == kind::LET_GO {
                    self.verdict = Some(words(format_args!(
                        "unmapped when asked; kept 4 pages that were let go of, until asked"
                    )));
                }
                Ok([0; 2])
            }
            kind::NOTIFY => {
                let Some(bell) = &self.bell else {
                    return Err(Why::new(format_args!("the granter has not offered a port")));
                };
                let byte = UnmapNotify::clear_byte(letter.arg(0) as usize);
                let mut mapping = self.gntdev.reserve(grants)?.map::<ReadWrite>()?;
                mapping.set_notify(byte.and_event(bell))?;
                self.held = Some(mapping);
                self.verdict = Some(words(format_args!("unmapped: byte cleared, event sent")));
                Ok([0; 2])
            }
            other => {
                Err(Why::new(format_args!("the granter asks for {other}, which nobody knows")))
            }
        }
    }

    fn readonly(&mut self, grants: &[ClaimedGrant]) -> Result<[u32; 2], Why> {
        let reservation = match self.gntdev.reserve(grants)?.map::<ReadWrite>() {
            Ok(_) => return Err(Why::new(format_args!("a writable map was not refused"))),
            Err(failed) => failed.value,
        };
        let status = reservation.statuses().next().map(|(_, status)| status).unwrap_or_default();
        let mapping = reservation.map::<ReadOnly>()?;
        let crc = pattern::sum_all(&mapping)?;
        same("whether a byte was stored", mapping.probe_write(0, 1)?, false)?;
        self.verdict = Some(refused_words(status));
        Ok([crc, status.0 as u16 as u32])
    }

    /// Does the work that follows the answer.
    async fn go_on(&mut self, link: &Link<'_, X>, letter: &Letter) -> Result<Option<Text>, Stop> {
        let services = link.services;
        let began = services.system.now();
        match (letter.kind(), &self.bell) {
            (kind::EVENTS, Some(bell)) => {
                let trips = letter.arg(1);
                let before = bell.delivered();
                let answering = async {
                    for _ in 0..trips {
                        bell.wait().await;
                        // It fails only for a port that is not open, which `alive` notices.
                        let _ = bell.send();
                    }
                };
                link.alive(&|| bell.delivered(), pin!(answering)).await?;
                same("the number of events", bell.delivered() - before, u64::from(trips))?;
                Ok(Some(trips_words(trips, services.system.now() - began)?))
            }
            (kind::RING, _) => {
                let (bytes, moved) = (letter.arg(0), Cell::new(0));
                let mut took = Ok(0);
                let receiving = async { took = self.receive(link, bytes, &moved).await };
                link.alive(&|| moved.get(), pin!(receiving)).await?;
                match took {
                    Ok(took) => Ok(Some(ring_words(bytes, self.crc, took)?)),
                    Err(why) => Err(link.ended(why).await),
                }
            }
            _ => Ok(None),
        }
    }

    /// Reads `bytes` bytes from the granter's channel; returns how long that took, in nanoseconds.
    async fn receive(
        &mut self,
        link: &Link<'_, X>,
        bytes: u32,
        moved: &Cell<u64>,
    ) -> Result<u64, vchan::Error> {
        let (services, mut path) = (link.services, Text::new());
        write!(path, "/local/domain/{}/{CHANNEL}", link.peer).map_err(|_| Error::NO_MEMORY)?;
        let mut client = Client::new(services.clone(), link.peer, path.as_str())?;
        let mut stream = client.connect().await?;
        let began = services.system.now();
        let (mut crc, mut page) = (pattern::crc(), [0; PAGE_SIZE]);
        let mut left = bytes as usize;
        while let Some(room @ [_, ..]) = page.get_mut(..left.min(PAGE_SIZE)) {
            let len = stream.read(room).await?;
            let Some(read @ [_, ..]) = room.get(..len) else {
                return Err(vchan::Error::Closed);
            };
            crc.update(read);
            left -= len;
            moved.set(left as u64);
        }
        self.crc = crc.finalize();
        Ok(services.system.now() - began)
    }
}
