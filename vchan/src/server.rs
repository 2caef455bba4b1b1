// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end that shares the pages and publishes them.
//!
//! Each client gets its own pages and port, so nothing that one leaves behind reaches the next. The
//! port's node is written last and removed first, so a client that finds it also finds the page
//! that belongs to it.

use drivers::{DomId, Error as SystemError};

use drivers::shared::SharedMut;

use crate::layout::{
    AWAITED, CLIENT_LIVE, CLIENT_NOTIFY, CONNECTED, GRANTS, NOTIFY_WRITE, ORDERS, SERVER_LIVE,
};
use crate::link::{Link, Side};
use crate::path::{EVENT_CHANNEL, RING_REF, Text};
use crate::{Bell, Error, Host, Sizes, Stream, StreamOn};

/// Serves one peer at one path, one client after the other. Dropping it removes the path; accepted
/// streams stay open.
#[derive(Debug)]
pub struct Server<H: Host> {
    host: H,
    peer: DomId,
    sizes: Sizes,
    path: Text,
    /// What the next client connects to, once published.
    offer: Option<Offer<H>>,
    /// The path's own node, once published.
    base: Option<H::Node>,
}

/// Pages and a port that no client uses yet.
#[derive(Debug)]
struct Offer<H: Host> {
    /// The port's node is dropped first.
    nodes: [Option<H::Node>; 2],
    link: Link<H::Pages, H::Bell>,
}

impl<H: Host> Server<H> {
    /// A server for `peer` at `path`, which [`Server::accept`] publishes. A path without a leading
    /// slash is relative to our own domain's. Use only one server per path.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(host: H, peer: DomId, path: &str, sizes: Sizes) -> Result<Self, Error> {
        let path = Text::of(format_args!("{path}"))?;
        Ok(Self { host, peer, sizes, path, offer: None, base: None })
    }

    /// Publishes the channel, unless it already is, and waits for the next client. While nobody
    /// waits here, a published offer stays valid for one client.
    ///
    /// Dropping the future leaves the offer published.
    ///
    /// # Errors
    /// E2BIG or EINVAL for a path that is too long or invalid; ENOSPC, ENOMEM; xenstore's.
    /// [`Error::PeerViolation`] for a client that breaks the protocol; it is dropped.
    pub async fn accept(&mut self) -> Result<StreamOn<H>, Error> {
        if self.offer.is_none() {
            let offer = Offer { nodes: [None, None], link: self.prepare()? };
            self.offer = Some(offer);
        }
        let offer = self.offer.as_mut().ok_or(SystemError::NO_MEMORY)?;
        let Offer { nodes: [event_channel, ring_ref], link } = offer;
        let reference = H::references(&link.page).next().ok_or(SystemError::NO_MEMORY)?;
        // In this order, each only once.
        for (node, name, number) in [
            (&mut self.base, "", 0),
            (ring_ref, RING_REF, reference.0),
            (event_channel, EVENT_CHANNEL, H::number(&link.bell).0),
        ] {
            if node.is_some() {
                continue;
            }
            let (mut path, mut value) = (Text::of(format_args!("{}", self.path.as_str()))?, None);
            if !name.is_empty() {
                path.push(format_args!("/{name}"))?;
                value = Some(Text::of(format_args!("{number}"))?);
            }
            let value = value.as_ref().map_or("", Text::as_str).as_bytes();
            *node = Some(self.host.publish(path.as_str(), value, self.peer).await?);
        }
        let state = loop {
            let mark = link.bell.delivered();
            match link.state(CLIENT_LIVE)? {
                AWAITED => link.bell.wait_beyond(mark).await,
                other => break other,
            }
        };
        let Offer { nodes, link } = self.offer.take().ok_or(SystemError::NO_MEMORY)?;
        drop(nodes);
        // A client that has already closed may have left something to read.
        if state > CONNECTED {
            return Err(Error::PeerViolation("a client that is neither there nor gone"));
        }
        Ok(Stream::new(link, self.sizes, 0, 0))
    }

    /// Pages and a port, set up as the protocol requires.
    fn prepare(&self) -> Result<Link<H::Pages, H::Bell>, Error> {
        let bell = self.host.offer(self.peer)?;
        // Whatever fails from here on, dropping this one value releases everything.
        let mut link = Link::new(Side::Server, self.host.grant(self.peer, 1)?, bell);
        let (left, right) = (self.sizes.left().pages(), self.sizes.right().pages());
        let mut at = GRANTS;
        for (pages, is_out) in [(left, false), (right, true)] {
            if pages > 0 {
                let ring = self.host.grant(self.peer, pages)?;
                for reference in H::references(&ring) {
                    link.page.store_u32(at, reference.0)?;
                    at += 4;
                }
                *if is_out { &mut link.out } else { &mut link.into } = Some(ring);
            }
        }
        link.page.store_u32(ORDERS, self.sizes.word())?;
        link.page.write(CLIENT_LIVE, &[AWAITED, CONNECTED, NOTIFY_WRITE, 0])?;
        const { assert!(SERVER_LIVE == CLIENT_LIVE + 1 && CLIENT_NOTIFY == CLIENT_LIVE + 2) };
        self.host.on_end(&mut link.page, Side::Server.live(), &link.bell)?;
        Ok(link)
    }
}
