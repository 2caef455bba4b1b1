// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end that shares the pages and says where they are.
//!
//! Each client gets pages and a port of its own: what one leaves behind is none of the next one's.
//! The node of the port is written last and removed first, so that a client who finds it finds
//! what belongs to it.

use drivers::{DomId, Error as SystemError};

use drivers::shared::SharedMut;

use crate::layout::{
    AWAITED, CLIENT_LIVE, CLIENT_NOTIFY, CONNECTED, GRANTS, NOTIFY_WRITE, ORDERS, SERVER_LIVE,
};
use crate::link::{Link, Side};
use crate::path::{EVENT_CHANNEL, RING_REF, Text};
use crate::{Bell, Error, Host, Sizes, Stream, StreamOn};

/// Serves one peer at one path, one client after the other. Dropping it removes the path; streams
/// that were accepted stay.
#[derive(Debug)]
pub struct Server<H: Host> {
    host: H,
    peer: DomId,
    sizes: Sizes,
    path: Text,
    /// Where the next client connects, once that is published.
    offer: Option<Offer<H>>,
    /// The path's own node, once it's published.
    base: Option<H::Node>,
}

/// Pages and a port that nobody uses yet.
#[derive(Debug)]
struct Offer<H: Host> {
    /// The port's node goes first.
    nodes: [Option<H::Node>; 2],
    link: Link<H::Pages, H::Bell>,
}

impl<H: Host> Server<H> {
    /// A channel for `peer` at `path`, which is published by [`Server::accept`]. A path without a
    /// leading slash is relative to our own domain's. One path has one server.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(host: H, peer: DomId, path: &str, sizes: Sizes) -> Result<Self, Error> {
        let path = Text::of(format_args!("{path}"))?;
        Ok(Self { host, peer, sizes, path, offer: None, base: None })
    }

    /// Publishes the channel, unless it is, and waits for the next client. While nobody waits, the
    /// path offers what was published, up to the first client.
    ///
    /// A future that is dropped leaves it as it is.
    ///
    /// # Errors
    /// E2BIG or EINVAL for a path that is none or too long; ENOSPC, ENOMEM; xenstore's.
    /// [`Error::PeerViolation`] for a client that is none, which is forgotten.
    pub async fn accept(&mut self) -> Result<StreamOn<H>, Error> {
        if self.offer.is_none() {
            let offer = Offer { nodes: [None, None], link: self.prepare()? };
            self.offer = Some(offer);
        }
        let offer = self.offer.as_mut().ok_or(SystemError::NO_MEMORY)?;
        let Offer { nodes: [event_channel, ring_ref], link } = offer;
        let reference = H::references(&link.page).next().ok_or(SystemError::NO_MEMORY)?;
        // In this order, and each only once.
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
        // One that has closed already may have left something to read.
        if state > CONNECTED {
            return Err(Error::PeerViolation("a client that is neither there nor gone"));
        }
        Ok(Stream::new(link, self.sizes, 0, 0))
    }

    /// Pages and a port, set up as the protocol wants it.
    fn prepare(&self) -> Result<Link<H::Pages, H::Bell>, Error> {
        let bell = self.host.offer(self.peer)?;
        // Whatever fails from here on, one value is let go of.
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
