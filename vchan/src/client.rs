// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end that finds the pages, maps them, and checks what they claim.
//!
//! Xenstore may be out of date: the server may be gone, or between two clients. So a failure is
//! blamed on the peer only if the nodes still say the same afterwards; otherwise the client looks
//! again.

use alloc::vec::Vec;

use drivers::shared::{Shared, SharedBits, SharedMut};
use drivers::{Access, DomId, Errno, Error as SystemError, GrantRef, PortNumber};
use embassy_futures::select::{Either, select};

use crate::layout::{
    AWAITED, CLIENT_LIVE, CLOSED, CONNECTED, GRANTS, LEFT, NOTIFY_WRITE, ORDERS, RIGHT,
};
use crate::link::{Link, Side};
use crate::path::{EVENT_CHANNEL, RING_REF, Text, number};
use crate::{Error, Host, Sizes, Stream, StreamOn};

/// Interval for retrying a server that already has a client or is gone: one second, since xenstore
/// announces neither.
const PAUSE_NS: u64 = 1_000_000_000;

/// Connects to one server at one path, any number of times.
#[derive(Debug)]
pub struct Client<H: Host> {
    host: H,
    peer: DomId,
    ring_ref: Text,
    event_channel: Text,
    /// Set from the first wait on.
    watch: Option<H::Watch>,
}

/// What the two nodes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    page: GrantRef,
    port: PortNumber,
}

impl<H: Host> Client<H> {
    /// A client for `peer`'s server at `path`, resolved by xenstore in this domain, so usually
    /// `/local/domain/<peer>/...`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(host: H, peer: DomId, path: &str) -> Result<Self, Error> {
        let ring_ref = Text::of(format_args!("{path}/{RING_REF}"))?;
        let event_channel = Text::of(format_args!("{path}/{EVENT_CHANNEL}"))?;
        Ok(Self { host, peer, ring_ref, event_channel, watch: None })
    }

    /// Waits until the server is there and has no other client, and connects to it. When a stream
    /// has ended, call this again for the next one, from the same server or a restarted one.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// E2BIG or EINVAL for a path that is too long or invalid; [`Error::PeerViolation`] for invalid
    /// nodes or an invalid page; ENOMEM; xenstore's.
    pub async fn connect(&mut self) -> Result<StreamOn<H>, Error> {
        if self.watch.is_none() {
            self.watch = Some(self.host.watch(self.event_channel.as_str()).await?);
        }
        // Where and why it last failed.
        let mut failed = None;
        loop {
            let place = self.look().await?;
            if let Some((at, error)) = failed.take()
                && place == Some(at)
            {
                return Err(error);
            }
            if let Some(at) = place {
                match self.try_at(at) {
                    Ok(Some(stream)) => return Ok(stream),
                    Ok(None) => {}
                    Err(error) => {
                        failed = Some((at, error));
                        continue;
                    }
                }
            }
            let Some(watch) = &mut self.watch else {
                return Err(SystemError::NO_MEMORY.into());
            };
            // If there is nothing at all, xenstore's watch announces a change.
            let ns = if place.is_some() { PAUSE_NS } else { u64::MAX };
            match select(H::change(watch), self.host.pause(ns)).await {
                Either::First(changed) => changed?,
                Either::Second(()) => {}
            }
        }
    }

    /// What the nodes say, if both exist and belong together. The port's node is written last and
    /// removed first, so it is read before and after the other.
    async fn look(&self) -> Result<Option<Place>, Error> {
        let mut said = [None; 3];
        let paths = [&self.event_channel, &self.ring_ref, &self.event_channel];
        for (said, path) in said.iter_mut().zip(paths) {
            let Some(value) = self.host.look(path.as_str()).await? else {
                return Ok(None);
            };
            let nonsense = Error::PeerViolation("a node of the path is no number");
            *said = Some(number(&value).ok_or(nonsense)?);
        }
        Ok(match said {
            [Some(port), Some(page), Some(again)] if port == again => {
                Some(Place { page: GrantRef(page), port: PortNumber(port) })
            }
            _ => None,
        })
    }

    /// Connects to `place`; `None` if nobody listens there.
    ///
    /// # Errors
    /// What is wrong with the page, or on our side.
    fn try_at(&self, place: Place) -> Result<Option<StreamOn<H>>, Error> {
        let bell = match self.host.bind(self.peer, place.port) {
            Ok(bell) => bell,
            Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ESRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let page = self.host.map(self.peer, &[place.page], Access::ReadWrite)?;
        // Whatever fails from here on, dropping this one value releases everything.
        let mut link = Link::new(Side::Client, page, bell);
        // Read once, so that the checked value is the one used.
        let sizes = Sizes::claimed(link.page.load_u32(ORDERS)?)?;
        let (left, right) = (sizes.left().pages(), sizes.right().pages());
        for (before, pages, is_out) in [(0, left, true), (left, right, false)] {
            if pages > 0 {
                let refs = references(&link.page, before, pages)?;
                let access = if is_out { Access::ReadWrite } else { Access::ReadOnly };
                let ring = self.host.map(self.peer, &refs, access)?;
                *if is_out { &mut link.out } else { &mut link.into } = Some(ring);
            }
        }
        // A server that reuses its page for several clients continues where the last one stopped.
        let (written, read) = (link.page.load_u32(LEFT.prod)?, link.page.load_u32(RIGHT.cons)?);
        self.host.on_end(&mut link.page, Side::Client.live(), &link.bell)?;
        let stream = Stream::new(link, sizes, written, read);
        stream.check()?;
        let link = stream.link();
        match (link.state(CLIENT_LIVE)?, link.state(Side::Server.live())?) {
            (..=AWAITED, CONNECTED) => {}
            // It has gone in the meantime.
            (..=AWAITED, CLOSED) => return Ok(None),
            _ => return Err(Error::PeerViolation("an end that is neither there nor gone")),
        }
        link.ask(NOTIFY_WRITE)?;
        link.page.write(CLIENT_LIVE, &[CONNECTED])?;
        link.ring()?;
        Ok(Some(stream))
    }
}

/// `pages` references of the page's list, after the first `before`, each read once.
fn references<P: SharedBits>(page: &P, before: u32, pages: u32) -> Result<Vec<GrantRef>, Error> {
    let mut refs = Vec::new();
    refs.try_reserve_exact(pages as usize).map_err(|_| SystemError::NO_MEMORY)?;
    for place in before..before + pages {
        let reference = page.load_u32(GRANTS + 4 * place as usize)?;
        drivers::list::push(&mut refs, GrantRef(reference))?;
    }
    Ok(refs)
}
