// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures a channel whose two ends are in one domain, as two futures of one task: round trips of
//! a byte, and streams.
//!
//! There is no xenstore in dom0's place, so the ends find each other through nodes in memory.
//! Everything else is what two guests use.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::pending;

use drivers::memory::Platform;
use drivers::{Access, DomId, Error, GrantRef, PortNumber, Services};
use embassy_futures::join::join;
use tasks::verdict::Why;
use vchan::{Client, Host, Server, Sizes, StreamOn};

use super::Rows;
use super::meter::{Least, Meter};

/// How many runs are measured, after one to warm up. The cheapest counts.
const RUNS: u32 = 3;
/// Round trips in a run.
const TRIPS: u32 = 100;
/// The bytes of each ring, and of a stream.
const RING: u32 = 65_536;
const MIB: u32 = 1 << 20;
/// The rows of streams, and the bytes of a message.
const STREAMS: [(&str, usize); 3] =
    [("loop-stream-64", 64), ("loop-stream-4096", 4096), ("loop-stream-65536", 65_536)];
/// The path of the channel.
const PATH: &str = "/bench";

/// Measures all of them.
pub async fn measure<X: Platform>(meter: &Meter<'_, X>, rows: &mut Rows) -> Result<(), Why> {
    let (here, own) = (Here::new(meter.services()), meter.services().domid);
    let mut server = Server::new(here.clone(), own, PATH, Sizes::new(RING, RING)?)?;
    let mut client = Client::new(here, own, PATH)?;
    let (accepted, connected) = join(server.accept(), client.connect()).await;
    let (mut left, mut right) = (accepted?, connected?);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(2 * RING as usize).map_err(|_| Error::NO_MEMORY)?;
    bytes.resize(2 * RING as usize, 7);
    let mut trip = Least::NONE;
    for run in 0..=RUNS {
        let both = join(answers(&mut left), asks(&mut right));
        let (answered, asked) = meter.span(&mut trip, both).await;
        answered.and(asked)?;
        if run == 0 {
            trip = Least::NONE;
        }
    }
    rows.add("loop-trip", 1, each(trip, TRIPS), None)?;
    for (op, size) in STREAMS {
        let mut stream = Least::NONE;
        for run in 0..=RUNS {
            let (from, to) = bytes.split_at_mut(RING as usize);
            let message = from.get(..size).unwrap_or_default();
            let both = join(takes(&mut left, to), gives(&mut right, message));
            let (taken, given) = meter.span(&mut stream, both).await;
            taken.and(given)?;
            if run == 0 {
                stream = Least::NONE;
            }
        }
        rows.add(op, MIB, stream, None)?;
    }
    // The end that maps goes first, so that the other's pages can be ended at once.
    right.close().await?;
    Ok(left.close().await?)
}

/// A node's path and value.
type Node = (String, Vec<u8>);

/// A guest's services as a channel's host, with nodes in memory instead of xenstore.
struct Here<X: Platform> {
    services: Services<X>,
    nodes: Rc<RefCell<Vec<Node>>>,
}

impl<X: Platform> Here<X> {
    fn new(services: &Services<X>) -> Self {
        Self { services: services.clone(), nodes: Rc::default() }
    }
}

impl<X: Platform> Clone for Here<X> {
    fn clone(&self) -> Self {
        Self { services: self.services.clone(), nodes: self.nodes.clone() }
    }
}

impl<X: Platform> Host for Here<X> {
    type Pages = <Services<X> as Host>::Pages;
    type Bell = <Services<X> as Host>::Bell;
    type Node = ();
    type Watch = ();

    fn grant(&self, peer: DomId, pages: u32) -> Result<Self::Pages, Error> {
        self.services.grant(peer, pages)
    }

    fn references(pages: &Self::Pages) -> impl Iterator<Item = GrantRef> {
        <Services<X> as Host>::references(pages)
    }

    fn map(&self, peer: DomId, refs: &[GrantRef], access: Access) -> Result<Self::Pages, Error> {
        Host::map(&self.services, peer, refs, access)
    }

    fn on_end(&self, pages: &mut Self::Pages, byte: usize, bell: &Self::Bell) -> Result<(), Error> {
        self.services.on_end(pages, byte, bell)
    }

    fn offer(&self, peer: DomId) -> Result<Self::Bell, Error> {
        self.services.offer(peer)
    }

    fn bind(&self, peer: DomId, port: PortNumber) -> Result<Self::Bell, Error> {
        self.services.bind(peer, port)
    }

    fn number(bell: &Self::Bell) -> PortNumber {
        <Services<X> as Host>::number(bell)
    }

    async fn publish(&self, path: &str, value: &[u8], _: DomId) -> Result<(), Error> {
        let node = (String::from(path), Vec::from(value));
        drivers::list::push(&mut self.nodes.borrow_mut(), node)
    }

    async fn look(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let nodes = self.nodes.borrow();
        Ok(nodes.iter().find(|(at, _)| at == path).map(|(_, value)| value.clone()))
    }

    async fn watch(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The server publishes before the client looks for the first time.
    async fn change((): &mut ()) -> Result<(), Error> {
        pending().await
    }

    async fn pause(&self, _: u64) {
        pending().await
    }
}

/// What one of `times` took.
fn each(all: Least, times: u32) -> Least {
    let times = u64::from(times);
    Least {
        ticks: all.ticks / times,
        hypercalls: all.hypercalls / times,
        allocations: all.allocations.div_ceil(times),
        ..all
    }
}

async fn asks<X: Platform>(end: &mut StreamOn<Here<X>>) -> Result<(), vchan::Error> {
    for _ in 0..TRIPS {
        end.send(&[0]).await?;
        end.recv(&mut [0]).await?;
    }
    Ok(())
}

async fn answers<X: Platform>(end: &mut StreamOn<Here<X>>) -> Result<(), vchan::Error> {
    for _ in 0..TRIPS {
        end.recv(&mut [0]).await?;
        end.send(&[0]).await?;
    }
    Ok(())
}

async fn gives<X: Platform>(
    end: &mut StreamOn<Here<X>>,
    message: &[u8],
) -> Result<(), vchan::Error> {
    for _ in 0..MIB as usize / message.len() {
        end.write_all(message).await?;
    }
    Ok(())
}

async fn takes<X: Platform>(
    end: &mut StreamOn<Here<X>>,
    room: &mut [u8],
) -> Result<(), vchan::Error> {
    let mut left = MIB as usize;
    while left > 0 {
        let most = room.len().min(left);
        match end.read(room.get_mut(..most).unwrap_or_default()).await? {
            0 => return Err(vchan::Error::Closed),
            len => left -= len,
        }
    }
    Ok(())
}
