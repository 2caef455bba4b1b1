// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels by name: neither domain needs to know the other's domid.
//!
//! A client publishes a request at `data/vchan/<name>/wanted`, readable by all. A listener finds it
//! and serves a channel at `data/vchan/<name>/<the client's domid>`, for that domain only, where
//! the client finds it. Each request has a unique number, so that one that has been served isn't
//! mistaken for the next. Both look at domids within 128 of their own.
//!
//! Any domain may request or offer any name: only the domid of a stream's peer is certain. A domain
//! that doesn't keep its promise is ignored for a while, so that others get their turn.

use core::str;
use core::sync::atomic::{AtomicU64, Ordering};

use drivers::xenstore::Reader;
use drivers::{DomId, Errno, Error as SystemError, Platform, Services, peers};
use embassy_futures::select::{Either, select};

use crate::path::{EVENT_CHANNEL, Text};
use crate::{Client, Error, GuestStream, Server, Sizes};

/// How long a peer that was found may take to connect: 5 s.
const PATIENCE_NS: u64 = 5_000_000_000;
/// How long one that didn't is ignored: 15 s.
const REST_NS: u64 = 15_000_000_000;
/// How many ignored domains are remembered.
const KNOWN: usize = 32;

/// Number of requests so far.
static WISHES: AtomicU64 = AtomicU64::new(0);

/// Serves whoever wants a channel of one name.
#[derive(Debug)]
pub struct Listener<X: Platform> {
    guest: Services<X>,
    name: Text,
    sizes: Sizes,
    left_alone: LeftAlone,
}

/// A stream, and its client.
#[derive(Debug)]
pub struct Accepted<X: Platform> {
    /// The client's domain.
    pub peer: DomId,
    /// The channel to it.
    pub stream: GuestStream<X>,
}

/// Serves channels of this name, with rings of 65,536 bytes each way.
///
/// # Errors
/// EINVAL for a name that is none: 1 to 32 letters, digits, `-` and `_`. ENOMEM.
pub fn listen<X: Platform>(guest: &Services<X>, name: &str) -> Result<Listener<X>, Error> {
    let name = checked(name)?;
    let left_alone = LeftAlone::default();
    Ok(Listener { guest: guest.clone(), name, sizes: Sizes::default(), left_alone })
}

/// Connects to the first domain found that listens by this name, waiting until there is one.
///
/// A future that is dropped leaves nothing behind.
///
/// # Errors
/// As [`listen`]; xenstore's.
pub async fn connect<X: Platform>(
    guest: &Services<X>,
    name: &str,
) -> Result<GuestStream<X>, Error> {
    let (name, me) = (checked(name)?, guest.domid.get());
    let name = name.as_str();
    let wanted = Text::of(format_args!("data/vchan/{name}/wanted"))?;
    let offer = Text::of(format_args!("data/vchan/{name}/{me}"))?;
    let last = Text::of(format_args!("{}/{EVENT_CHANNEL}", offer.as_str()))?;
    // Xen's time never goes backwards, so no two requests have the same number.
    let count = WISHES.fetch_add(1, Ordering::Relaxed);
    let wish = Text::of(format_args!("{}", guest.system.now().wrapping_add(count)))?;
    let wish = wish.as_str().as_bytes();
    let _wish = peers::publish(guest, wanted.as_str(), wish, Reader::Anyone).await?;
    let mut left_alone = LeftAlone::default();
    loop {
        let now = || guest.system.now();
        let serves = |domid, _: &[u8]| (!left_alone.has(domid, 0, now())).then_some(domid);
        let peer = peers::find(guest, last.as_str(), serves).await?;
        let path = Text::of(format_args!("/local/domain/{}/{}", peer.get(), offer.as_str()))?;
        let mut client = Client::new(guest.clone(), peer, path.as_str())?;
        let late = guest.system.sleep_until(now().saturating_add(PATIENCE_NS));
        match select(client.connect(), late).await {
            Either::First(Err(Error::PeerViolation(_))) | Either::Second(()) => {
                left_alone.add(peer, 0, now().saturating_add(REST_NS));
            }
            Either::First(connected) => return connected,
        }
    }
}

impl<X: Platform> Listener<X> {
    /// The same with rings of other sizes.
    pub fn sizes(self, sizes: Sizes) -> Self {
        Self { sizes, ..self }
    }

    /// Waits for the next client and connects to it. The next call serves other clients that are
    /// waiting.
    ///
    /// A future that is dropped leaves nothing behind.
    ///
    /// # Errors
    /// ENOSPC, ENOMEM; xenstore's.
    pub async fn accept(&mut self) -> Result<Accepted<X>, Error> {
        let Self { guest, name, sizes, left_alone } = self;
        let name = name.as_str();
        let wanted = Text::of(format_args!("data/vchan/{name}/wanted"))?;
        loop {
            let now = || guest.system.now();
            let wants = |domid, said: &[u8]| {
                let wish = str::from_utf8(said).ok()?.parse().ok()?;
                (!left_alone.has(domid, wish, now())).then_some((domid, wish))
            };
            let (peer, wish) = peers::find(guest, wanted.as_str(), wants).await?;
            let path = Text::of(format_args!("data/vchan/{name}/{}", peer.get()))?;
            let mut server = Server::new(guest.clone(), peer, path.as_str(), *sizes)?;
            let late = guest.system.sleep_until(now().saturating_add(PATIENCE_NS));
            match select(server.accept(), late).await {
                Either::First(Ok(stream)) => {
                    left_alone.add(peer, wish, u64::MAX);
                    return Ok(Accepted { peer, stream });
                }
                Either::First(Err(Error::PeerViolation(_))) | Either::Second(()) => {
                    left_alone.add(peer, wish, now().saturating_add(REST_NS));
                }
                Either::First(Err(error)) => return Err(error),
            }
        }
    }
}

/// The name, if it is valid.
fn checked(name: &str) -> Result<Text, Error> {
    if !peers::is_name(name) {
        let words = &"a channel's name has 1 to 32 letters, digits, - and _";
        return Err(SystemError::Local(Errno::EINVAL, words).into());
    }
    Text::of(format_args!("{name}"))
}

/// Domains to ignore for some time, or, with one particular request, for ever. Only the latest are
/// kept.
#[derive(Debug, Default)]
struct LeftAlone {
    known: [Option<(DomId, u64, u64)>; KNOWN],
    next: usize,
}

impl LeftAlone {
    /// Whether this domain with this request is ignored now.
    fn has(&self, domid: DomId, wish: u64, now: u64) -> bool {
        let is_it =
            |(of, what, until): &(DomId, u64, u64)| (*of, *what) == (domid, wish) && now < *until;
        self.known.iter().flatten().any(is_it)
    }

    /// Ignores it until then.
    fn add(&mut self, domid: DomId, wish: u64, until: u64) {
        let place = self.known.iter().position(|known| known.is_some_and(|known| known.0 == domid));
        let place = place.unwrap_or(self.next);
        if let Some(known) = self.known.get_mut(place) {
            *known = Some((domid, wish, until));
        }
        self.next = (self.next + 1) % KNOWN;
    }
}
