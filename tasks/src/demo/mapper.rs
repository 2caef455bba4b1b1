//! The mapper: looks for a granter, does what it asks, and starts again if it vanishes.

use core::pin::pin;

use drivers::events::Port;
use drivers::gntdev::{Handle, Mapping, ReadOnly, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::notify::{CLEAR_BYTE, SEND_EVENT, UnmapNotify};
use drivers::ring::Receiver;
use drivers::shared::SharedMut;
use drivers::xenstore::XenStore;
use drivers::{Call, DomId, Errno, Error, ForeignGrant, GrantRef, PortNumber, Services};

use super::find::{GRANTER, Lookout, MAPPER, News, Post, VERSION, look, near, numbers};
use super::granter::clean;
use super::lead::{fill, refused_words, ring_words, sum, trips_words};
use super::link::{Letter, Link, kind};
use super::{CLEAN, PAGES, RING, SEED, Stop, Trouble, say, tell, words};
use crate::pattern;
use crate::text::Text;
use crate::verdict::{InUse, Tally, Why, equal};

/// How long a granter may take to offer something: 1 s; and the pause after one that didn't.
const OFFER_NS: u64 = 1_000_000_000;
const PAUSE_NS: u64 = 200_000_000;
/// How long without news until all are looked at again, whatever the watch says: 3 s.
const AGAIN_NS: u64 = 3_000_000_000;
/// Lines about nonsense; the rest is passed over in silence.
const COMPLAINTS: u32 = 8;
/// Grants that are reserved at once: the control page, step 1, the ring, and a few.
const ROOM: u32 = 1 + PAGES + 1 + RING + 8;

/// What a granter offers.
struct Offer {
    gref: GrantRef,
    port: PortNumber,
}

/// Looks for a granter until one has made a whole run.
pub(crate) async fn run<X: Platform>(services: &Services<X>) -> Result<Tally, Trouble> {
    let absent = Error::Invalid(Errno::ENODEV, "this domain has no xenstore");
    let store = services.xenstore.as_ref().ok_or(("demo", absent))?;
    let mut lookout = Lookout::new(services, store, GRANTER).await?;
    let post = Post::new(services, store, MAPPER);
    // Told from the calls of an earlier life of this domain.
    let mut call = (services.xen.now() >> 10) as u32;
    let (mut complaints, mut pause) = (0, AGAIN_NS);
    loop {
        let news = lookout.news(Some(services.xen.now() + pause)).await?;
        pause = AGAIN_NS;
        let (one, all) = match news {
            News::At(domid) => (Some(domid), false),
            News::Anywhere | News::Nothing => (None, true),
        };
        let others = near(services.domid).filter(|_| all);
        for granter in one.into_iter().chain(others) {
            let Some(said) = look(services, store, granter, GRANTER).await? else {
                continue;
            };
            let trouble = if said == FREE {
                call = call.wrapping_add(1);
                post.say(format_args!("{VERSION} {granter} {call}")).await?;
                match offer(services, store, &mut lookout, granter, call).await? {
                    Ok(offer) => match follow_whole(services, granter, offer).await {
                        Ok(tally) => return Ok(tally),
                        Err(trouble) => trouble,
                    },
                    Err(trouble) => trouble,
                }
            } else if matches!(numbers(&said), Some([VERSION, _, _, _, _])) {
                // It serves somebody else, and says so when it's free.
                continue;
            } else {
                Why::new(format_args!("publishes nonsense in {GRANTER}")).into()
            };
            complaints += 1;
            if complaints <= COMPLAINTS {
                say(services, format_args!("demo: domain {granter} {trouble}"));
            }
            if said == FREE {
                pause = PAUSE_NS;
            }
        }
    }
}

/// What a granter says that serves nobody.
const FREE: &[u8] = b"1 free";

/// Waits for a granter's answer to our call.
async fn offer<X: Platform>(
    services: &Services<X>,
    store: &XenStore<X>,
    lookout: &mut Lookout<'_, X>,
    granter: DomId,
    call: u32,
) -> Result<Result<Offer, Stop>, Trouble> {
    let deadline = services.xen.now() + OFFER_NS;
    loop {
        match lookout.news(Some(deadline)).await? {
            News::At(domid) if domid != granter => continue,
            News::Nothing => return Ok(Err(Stop::Gone("does not answer"))),
            News::At(_) | News::Anywhere => {}
        }
        let said = look(services, store, granter, GRANTER).await?;
        let Some(said) = said else {
            return Ok(Err(Stop::Gone("is gone")));
        };
        match numbers(&said) {
            Some([VERSION, whom, answers, gref, port])
                if whom == u32::from(services.domid.get()) && answers == call =>
            {
                return Ok(Ok(Offer { gref: GrantRef(gref), port: PortNumber(port) }));
            }
            Some([VERSION, ..]) => {}
            _ if said == FREE => {}
            _ => {
                return Ok(Err(Why::new(format_args!("publishes nonsense in {GRANTER}")).into()));
            }
        }
    }
}

/// A run from the control page to its end.
async fn follow_whole<X: Platform>(
    services: &Services<X>,
    granter: DomId,
    offer: Offer,
) -> Result<Tally, Stop> {
    let gntdev = services.gntdev.open()?;
    gntdev.set_max_grants(ROOM)?;
    // Done once what is done only the first time: the page tables of two handles.
    let claim = |gref| ForeignGrant { domid: granter.get(), gref };
    let tables = [claim(offer.gref); ROOM as usize];
    let other = services.gntdev.open()?;
    other.set_max_grants(ROOM)?;
    drop((gntdev.insert(&tables)?, other.insert(&tables)?, other));
    let before = InUse::of(services);
    let page = gntdev.insert(&[claim(offer.gref)])?.map::<ReadWrite>()?;
    let port = services.events.bind_interdomain(granter, offer.port)?;
    port.send()?;
    let mut link = Link::new(services, granter, &port, &page, false);
    let mut follow = Follow { gntdev, shared: None, held: None, crc: 0, bell: None, verdict: None };
    let tally = follow.all(&mut link).await;
    drop((follow, page, port));
    let mut tally = match tally {
        Ok(tally) if tally.failed == 0 => tally,
        other => return other,
    };
    tell(services, &mut tally, CLEAN, &clean(services, before));
    Ok(tally)
}

/// What one run holds.
struct Follow<X: Platform> {
    gntdev: Handle<X>,
    /// The pages of step 1.
    shared: Option<Mapping<X, ReadWrite>>,
    /// Those of a later step.
    held: Option<Mapping<X, ReadWrite>>,
    crc: u32,
    bell: Option<Port<X>>,
    /// What to say of the step that is being made.
    verdict: Option<Result<Text, Why>>,
}

impl<X: Platform> Follow<X> {
    /// Does what is asked until it's the end.
    async fn all(&mut self, link: &mut Link<'_, X>) -> Result<Tally, Stop> {
        let mut tally = Tally::default();
        loop {
            let letter = link.next().await?;
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
                    tell(link.services, &mut tally, step, &verdict);
                    link.answer(kind::TELL, &[0; 2])?;
                    if verdict.is_err() {
                        return Ok(tally);
                    }
                }
                kind::FINISH => {
                    link.answer(kind::FINISH, &[0; 2])?;
                    return Ok(tally);
                }
                asked => {
                    let done = match self.obey(link, &letter) {
                        Ok(args) => {
                            if let (kind::EVENTS, Some(bell)) = (asked, &self.bell) {
                                // Binding rings once, for whatever was sent before.
                                link.alive(bell, pin!(bell.wait())).await?;
                            }
                            link.answer(asked, &args)?;
                            self.go_on(link, &letter).await
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

    /// What is done before the answer, which it returns.
    fn obey(&mut self, link: &Link<'_, X>, letter: &Letter) -> Result<[u32; 2], Why> {
        let (grants, count) = letter.grants(link.peer)?;
        let grants = &grants[..count];
        let counters = link.services.xen.counters();
        let kind = letter.kind();
        match kind {
            kind::SHARE => {
                let before = counters.calls(Call::GnttabMap);
                let mapping = self.gntdev.insert(grants)?.map::<ReadWrite>()?;
                let maps = (counters.calls(Call::GnttabMap) - before) as u32;
                let crc = sum(&mapping)?;
                self.shared = Some(mapping);
                Ok([crc, maps])
            }
            kind::FILL => {
                let crc = self.shared.as_ref().map(|mapping| fill(mapping, SEED)).transpose()?;
                let crc = crc.unwrap_or_default();
                self.verdict = Some(words(format_args!(
                    "{PAGES} pages rw, mapped at once, crc {crc:08x} both ways"
                )));
                Ok([crc, 0])
            }
            kind::READONLY => self.readonly(grants),
            kind::EVENTS => {
                let port = PortNumber(letter.arg(0));
                self.bell = Some(link.services.events.bind_interdomain(link.peer, port)?);
                Ok([0; 2])
            }
            kind::RING | kind::HOLD => {
                self.held = Some(self.gntdev.insert(grants)?.map()?);
                Ok([0; 2])
            }
            kind::RING_END => {
                drop(self.held.take());
                Ok([self.crc, 0])
            }
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
                let bell = self.bell.as_ref().map_or(PortNumber(0), Port::number);
                let notify = UnmapNotify { action: CLEAR_BYTE | SEND_EVENT, port: bell };
                // A handle of its own: dropping the mapping closes it.
                let gntdev = link.services.gntdev.open()?;
                gntdev.set_max_grants(ROOM)?;
                let mapping = gntdev.insert(grants)?.map::<ReadWrite>()?;
                mapping.set_notify(letter.arg(0) as usize, notify)?;
                self.held = Some(mapping);
                self.verdict = Some(words(format_args!("handle closed: byte cleared, event sent")));
                Ok([0; 2])
            }
            other => {
                Err(Why::new(format_args!("the granter asks for {other}, which nobody knows")))
            }
        }
    }

    fn readonly(&mut self, grants: &[ForeignGrant]) -> Result<[u32; 2], Why> {
        let reservation = match self.gntdev.insert(grants)?.map::<ReadWrite>() {
            Ok(_) => return Err(Why::new(format_args!("a writable map was not refused"))),
            Err(failed) => failed.value,
        };
        let status = reservation.statuses().next().map(|(_, status)| status).unwrap_or_default();
        let mapping = reservation.map::<ReadOnly>()?;
        let crc = sum(&mapping)?;
        equal("whether a byte was stored", mapping.probe_write(0, 1)?, false)?;
        self.verdict = Some(refused_words(status));
        Ok([crc, status.0 as u16 as u32])
    }

    /// What is done after the answer.
    async fn go_on(&mut self, link: &Link<'_, X>, letter: &Letter) -> Result<Option<Text>, Stop> {
        let services = link.services;
        let began = services.xen.now();
        match (letter.kind(), &self.bell, &self.held) {
            (kind::EVENTS, Some(bell), _) => {
                let trips = letter.arg(1);
                let before = bell.delivered();
                let answering = async {
                    for _ in 0..trips {
                        bell.wait().await;
                        // Sending fails for a port that is not open, which is seen elsewhere.
                        let _ = bell.send();
                    }
                };
                link.alive(bell, pin!(answering)).await?;
                equal("the number of events", bell.delivered() - before, u64::from(trips))?;
                Ok(Some(trips_words(trips, services.xen.now() - began)?))
            }
            (kind::RING, _, Some(held)) => {
                let bytes = letter.arg(0);
                let (mut crc, mut done) = (pattern::crc(), Ok(0));
                let mut receiver = Receiver::new(held as &dyn SharedMut, link.port)?;
                let stream = async {
                    let (mut page, mut left) = ([0; PAGE_SIZE], bytes as usize);
                    while left > 0 {
                        let want = left.min(PAGE_SIZE);
                        done = receiver.receive(&mut page[..want]).await;
                        let Ok(got) = done else {
                            return;
                        };
                        crc.update(&page[..got]);
                        left -= got;
                    }
                };
                link.alive(link.port, pin!(stream)).await?;
                done?;
                self.crc = crc.finalize();
                Ok(Some(ring_words(bytes, self.crc, services.xen.now() - began)?))
            }
            _ => Ok(None),
        }
    }
}
