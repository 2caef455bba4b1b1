// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers in the demo that follow the protocol up to a point and then violate it.
//!
//! [`lure`] is a granter and [`call`] a mapper. `how` names what they do wrong. Both continue until
//! the other side has let go of them, as it must.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::{offset_of, size_of};

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::peers::{self, Lookout, News, look};
use drivers::shared::{Shared, SharedBits, SharedMut};
use drivers::xenstore::{Publication, Reader};
use drivers::{Access, ClaimedGrant, DomId, Errno, Error, GrantRef, Pages, PortNumber, Services};
use embassy_futures::yield_now;
use xen_sys::io::libxenvchan::{RingShared, VCHAN_NOTIFY_WRITE as NOTIFY_WRITE, VchanInterface};

use tasks::demo::find::{GRANTER, MAPPER, Post, VERSION, numbers};
use tasks::demo::letter::{BOXES, Letter, WORDS_AT, kind};
use tasks::demo::link::{Link, is_bound};
use tasks::demo::{CHANNEL, RING, Stop};

/// How long the other side may take to let go: 20 s, checked every 20 ms.
const LIMIT_NS: u64 = 20_000_000_000;
const LOOK_NS: u64 = 20_000_000;
/// How long a peer that does nothing stays: 2 s.
const NOTHING_NS: u64 = 2_000_000_000;
/// The offsets of the indices of the ring to the mapper in a channel's page, and those of the byte
/// with the mapper's state and of that with its requests.
const CONS: usize = offset_of!(VchanInterface, right) + offset_of!(RingShared, cons);
const PROD: usize = offset_of!(VchanInterface, right) + offset_of!(RingShared, prod);
const CLIENT_LIVE: usize = offset_of!(VchanInterface, cli_live);
const SERVER_NOTIFY: usize = offset_of!(VchanInterface, srv_notify);
/// Rings of 2 KiB, in the page, and of 64 KiB.
const ORDERS: u32 = 11 | 16 << 16;
/// A server that is there, and whose client is not yet.
const AWAITED: [u8; 4] = [2, 1, NOTIFY_WRITE, 0];
/// How often a ring is refilled between two checks of its reader, and how many bytes it must take
/// to count as reading.
const BURST: u32 = 4096;
const MUCH: u64 = 1 << 20;
/// A gref that nobody grants, and a port that nobody has.
const NOWHERE: u32 = u32::MAX;

/// Offers itself as a granter to the first mapper that calls.
pub(crate) async fn lure<X: Platform>(services: &Services<X>, how: &str) -> Result<String, Error> {
    let mut lookout = Lookout::new(services, MAPPER).await?;
    let mut post = Post::new(services, GRANTER);
    post.say(format_args!("{VERSION} free")).await?;
    // Until now, a mapper that looks goes to somebody else.
    services.console.print(b"lure: free\n").await;
    let (peer, call) = loop {
        let peer = news(&mut lookout, services).await?;
        let said = look(services, peer, MAPPER).await?.unwrap_or_default();
        match numbers(&said) {
            Some([VERSION, whom, call]) if whom == u32::from(services.domid.get()) => {
                break (peer, call);
            }
            _ => {}
        }
    };
    let gntalloc = services.gntalloc.open();
    let page = gntalloc.alloc(peer, Pages(1), Access::ReadWrite)?;
    let port = services.events.alloc_unbound(peer)?;
    let gref = page.gref().0;
    let (gref, number) = match how {
        "silence" => {
            services.system.sleep_until(services.system.now() + NOTHING_NS).await;
            return Ok(format!("how={how} peer={peer}"));
        }
        "refs" => (NOWHERE, NOWHERE),
        "port" => (gref, NOWHERE),
        _ => (gref, port.number().0),
    };
    post.say(format_args!("{VERSION} {peer} {call} {gref} {number}")).await?;
    if matches!(how, "refs" | "port") {
        services.system.sleep_until(services.system.now() + NOTHING_NS).await;
        return Ok(format!("how={how} peer={peer}"));
    }
    port.wait().await;
    lie(services, how, peer, &page, &port).await?;
    until_let_go(services, &port, peer).await?;
    Ok(format!("how={how} peer={peer}"))
}

/// Does what a lying granter does once the mapper has come.
async fn lie<X: Platform>(
    services: &Services<X>,
    how: &str,
    peer: DomId,
    page: &Export<X>,
    port: &Port<X>,
) -> Result<(), Error> {
    let mut link = Link::new(services, peer, port, page, true);
    let words: &[u32] = match how {
        "number" => {
            letter(page, BOXES[0], 12_345, &[])?;
            return port.send();
        }
        "kind" => &[99, 0, 0, 0],
        "count" => &[kind::SHARE, NOWHERE, 0, 0],
        "letter" => &[kind::SHARE, 3, 0, 0, 500, NOWHERE, 0],
        "ring" => {
            let channel = Channel::offer(services, peer).await?;
            link.ask(Letter::new(kind::RING, &[1 << 20, 0])).await.map_err(stop)?;
            channel.connected(services).await?;
            // More than the ring can hold.
            channel.page.store_u32(PROD, 0x7fff_ffff)?;
            channel.port.send()?;
            let _ = link.ask(Letter::new(kind::TELL, &[4, 1])).await;
            return Ok(());
        }
        "feed" => {
            let channel = Channel::offer(services, peer).await?;
            // The most that a letter can ask for: 4 GiB.
            link.ask(Letter::new(kind::RING, &[u32::MAX, 0])).await.map_err(stop)?;
            return feed(services, peer, &channel, port).await;
        }
        _ => return Err(UNKNOWN),
    };
    // The mapper refuses, and prints the reason when asked to.
    let _ = link.ask(Letter::of_words(words)).await;
    let _ = link.ask(Letter::new(kind::TELL, &[1, 1])).await;
    Ok(())
}

/// A channel as the demo's granter serves it, made by hand.
struct Channel<X: Platform> {
    page: Export<X>,
    port: Port<X>,
    _ring: Export<X>,
    _nodes: [Publication<X>; 2],
}

impl<X: Platform> Channel<X> {
    async fn offer(services: &Services<X>, peer: DomId) -> Result<Self, Error> {
        let gntalloc = services.gntalloc.open();
        let page = gntalloc.alloc(peer, Pages(1), Access::ReadWrite)?;
        let ring = gntalloc.alloc(peer, Pages(RING), Access::ReadWrite)?;
        let port = services.events.alloc_unbound(peer)?;
        for (place, gref) in ring.grefs().enumerate() {
            page.store_u32(size_of::<VchanInterface>() + 4 * place, gref.0)?;
        }
        page.store_u32(offset_of!(VchanInterface, left_order), ORDERS)?;
        page.write(CLIENT_LIVE, &AWAITED)?;
        let publish = async |name, number: u32| {
            let (path, value) = (format!("{CHANNEL}/{name}"), format!("{number}"));
            peers::publish(services, &path, value.as_bytes(), Reader::Domain(peer)).await
        };
        let reference = publish("ring-ref", page.gref().0).await?;
        let nodes = [reference, publish("event-channel", port.number().0).await?];
        Ok(Self { page, port, _ring: ring, _nodes: nodes })
    }

    /// Waits until the mapper has connected.
    async fn connected(&self, services: &Services<X>) -> Result<(), Error> {
        let end = services.system.now() + LIMIT_NS;
        let mut state = AWAITED;
        while state[0] == AWAITED[0] {
            if services.system.now() > end {
                return Err(Error::Local(Errno::ETIMEDOUT, &"the mapper does not connect"));
            }
            services.system.sleep_until(services.system.now() + LOOK_NS).await;
            self.page.read(CLIENT_LIVE, &mut state)?;
        }
        Ok(())
    }
}

/// Refills a ring whenever the reader has taken something, until the reader lets go. It only moves
/// the index, so that no reader can be faster.
async fn feed<X: Platform>(
    services: &Services<X>,
    peer: DomId,
    channel: &Channel<X>,
    port: &Port<X>,
) -> Result<(), Error> {
    const SIZE: u32 = RING * PAGE_SIZE as u32;
    let console = &services.console;
    let (mut taken, mut last, mut waits) = (0_u64, 0, 0);
    while is_bound(port, peer) {
        let before = taken;
        for _ in 0..BURST {
            let index = channel.page.load_u32(CONS)?;
            channel.page.store_u32(PROD, index.wrapping_add(SIZE))?;
            taken += u64::from(index.wrapping_sub(last));
            last = index;
        }
        if before < MUCH && taken >= MUCH {
            console.print(b"feed: the reader reads\n").await;
        }
        if channel.page.fetch_and_u8(SERVER_NOTIFY, !NOTIFY_WRITE)? & NOTIFY_WRITE != 0 {
            waits += 1;
            channel.port.send()?;
        }
        yield_now().await;
    }
    let said = format!("feed: {} MiB taken, the reader waited {waits} times\n", taken >> 20);
    console.print(said.as_bytes()).await;
    Ok(())
}

/// Calls a granter, and answers its first question as `how` says. Returns what it still maps.
pub(crate) async fn call<X: Platform>(
    services: &Services<X>,
    granter: DomId,
    how: &str,
) -> Result<Vec<Mapping<X, ReadWrite>>, Error> {
    let mut lookout = Lookout::new(services, GRANTER).await?;
    let mut post = Post::new(services, MAPPER);
    let call = (services.system.now() >> 10) as u32;
    post.say(format_args!("{VERSION} {granter} {call}")).await?;
    let (gref, number) = loop {
        let said = look(services, granter, GRANTER).await?;
        match numbers(&said.unwrap_or_default()) {
            Some([VERSION, whom, answers, gref, port])
                if whom == u32::from(services.domid.get()) && answers == call =>
            {
                break (GrantRef(gref), PortNumber(port));
            }
            _ => news(&mut lookout, services).await?,
        };
    };
    if how == "absent" {
        services.system.sleep_until(services.system.now() + NOTHING_NS).await;
        return Ok(Vec::new());
    }
    let gntdev = services.gntdev.open()?;
    let map = |grants: &[ClaimedGrant]| Ok::<_, Error>(gntdev.reserve(grants)?.map::<ReadWrite>()?);
    let page = map(&[granter.grant(gref)])?;
    let port = services.events.bind_interdomain(granter, number)?;
    port.send()?;
    let mut link = Link::new(services, granter, &port, &page, false);
    let question = link.question().await.map_err(stop)?;
    let (grants, count) = question.grants(granter).map_err(|_| UNKNOWN)?;
    let mut held = Vec::new();
    match how {
        "silence" => {}
        "number" => letter(&page, BOXES[1], 12_345, &[])?,
        "kind" => letter(&page, BOXES[1], 1, &[77, 0, 0, 0])?,
        "sum" => letter(&page, BOXES[1], 1, &[kind::SHARE, 0, NOWHERE, NOWHERE])?,
        // Answers that it can't, but keeps everything mapped.
        "keep" => {
            held.push(map(&grants[..count])?);
            letter(&page, BOXES[1], 1, &[kind::FAILED, 0, 0, 0])?;
        }
        _ => return Err(UNKNOWN),
    }
    if how == "silence" {
        until_let_go(services, &port, granter).await?;
        return Ok(held);
    }
    port.send()?;
    // The granter asks it to print the failed step, and gets no answer.
    let _ = link.question().await;
    drop(port);
    if how == "keep" {
        held.push(page);
    }
    Ok(held)
}

/// Writes an arbitrary letter into a box, regardless of the protocol.
fn letter(page: &dyn SharedMut, at: usize, number: u32, words: &[u32]) -> Result<(), Error> {
    for (place, word) in words.iter().enumerate() {
        page.store_u32(at + WORDS_AT + 4 * place, *word)?;
    }
    page.store_u32(at, number)
}

/// Waits until the other side has closed its port.
async fn until_let_go<X: Platform>(
    services: &Services<X>,
    port: &Port<X>,
    peer: DomId,
) -> Result<(), Error> {
    let end = services.system.now() + LIMIT_NS;
    while is_bound(port, peer) {
        if services.system.now() > end {
            return Err(Error::Local(Errno::ETIMEDOUT, &"the peer does not let go"));
        }
        services.system.sleep_until(services.system.now() + LOOK_NS).await;
    }
    Ok(())
}

/// Waits for the next domain whose node changes.
async fn news<X: Platform>(
    lookout: &mut Lookout<'_, X>,
    services: &Services<X>,
) -> Result<DomId, Error> {
    let end = services.system.now() + LIMIT_NS;
    loop {
        match lookout.news(Some(end)).await? {
            News::At(domid) => return Ok(domid),
            News::Anywhere => {}
            News::Nothing => return Err(Error::Local(Errno::ETIMEDOUT, &"nobody came")),
        }
    }
}

fn stop(_: Stop) -> Error {
    Error::Local(Errno::EPIPE, &"the peer stopped first")
}

const UNKNOWN: Error = Error::Local(Errno::EINVAL, &"a false peer knows no such way");
