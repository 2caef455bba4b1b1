// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what two domains do together: events back and forth, and a channel.
//!
//! Time stamp counters count the instructions of the whole machine, so a figure includes both ends
//! and Xen's switches between them. The connecting end measures; the other end tells it its own
//! counts after each run. That end may also be `lab/dom0/src/c/trips.c`, which works by the same
//! protocol, but has neither counts nor a port.

use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use drivers::events::Port;
use drivers::memory::Platform;
use drivers::{DomId, PortNumber, Services};
use vchan::{Client, Error, GuestStream};

use super::meter::{Least, spent};
use super::{Row, Rows};

/// How many runs are measured, after one to warm up. The cheapest counts.
const RUNS: u32 = 5;
/// The unit of a stream, in bytes.
const MIB: u32 = 1 << 20;
/// The width of a column in the histogram of round trips, in instructions.
const WIDTH: u32 = 100;
/// The name of the channel.
const NAME: &str = "bench";

/// Which end this is, and who the other is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    /// Another guest connects.
    Listens,
    /// It connects to another guest, and measures.
    Connects,
    /// It connects to a server in dom0 at this path, and measures.
    ToLinux(&'a str),
}

/// How much to do in a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Round trips.
    pub trips: u32,
    /// MiB of a stream.
    pub mib: u32,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// An event there and one back.
    Event,
    /// A byte there and one back.
    Byte,
    /// A stream one way, in messages of this many bytes.
    Stream(usize),
}

/// The rows: work, its name between guests, and its name with Linux at the other end.
const WORKS: [(Work, &str, &str); 5] = [
    (Work::Event, "ping-pong", ""),
    (Work::Byte, "vchan-trip", "vchan-linux-trip"),
    (Work::Stream(64), "vchan-stream-64", "vchan-linux-stream-64"),
    (Work::Stream(4096), "vchan-stream-4096", "vchan-linux-stream-4096"),
    (Work::Stream(65_536), "vchan-stream-65536", "vchan-linux-stream-65536"),
];

/// The clock, and how often it was read: the tool finds a row's instructions by its readings.
#[derive(Debug)]
pub struct Clock {
    ticks: fn() -> u64,
    readings: Cell<u32>,
}

impl Clock {
    /// Reads the clock for the first time: this is the end of the guest's boot.
    pub fn booted(ticks: fn() -> u64) -> Self {
        let clock = Self { ticks, readings: Cell::new(0) };
        clock.read();
        clock
    }

    fn read(&self) -> u64 {
        self.readings.set(self.readings.get() + 1);
        (self.ticks)()
    }
}

/// What this end found; only the measuring one has rows.
#[derive(Debug, Default)]
pub struct Found {
    /// Hypercalls and heap allocations of the boot.
    boot: [u64; 2],
    rows: Rows,
    /// The instructions of each round trip of an event.
    trips: Vec<u32>,
}

impl Found {
    /// Returns the rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Passes what the boot took to `tell`: `boot hypercalls=31 allocations=12`.
    pub fn tell_boot(&self, tell: impl FnOnce(fmt::Arguments<'_>)) {
        let [hypercalls, allocations] = self.boot;
        tell(format_args!("boot hypercalls={hypercalls} allocations={allocations}"));
    }

    /// Passes the columns of the histogram to `tell`, in ascending order: `trips op=ping-pong
    /// from=10100 to=10200 count=12`.
    pub fn tell_trips(&mut self, mut tell: impl FnMut(fmt::Arguments<'_>)) {
        self.trips.sort_unstable();
        for column in self.trips.chunk_by(|one, next| one / WIDTH == next / WIDTH) {
            let from = column.first().map_or(0, |trip| trip / WIDTH * WIDTH);
            let (to, count) = (from + WIDTH, column.len());
            tell(format_args!("trips op=ping-pong from={from} to={to} count={count}"));
        }
    }
}

/// Does all work with the other end.
///
/// # Errors
/// The first one of a call; EPIPE if the other end is gone.
pub async fn run<X: Platform>(
    services: &Services<X>,
    clock: &Clock,
    end: End<'_>,
    plan: Plan,
) -> Result<Found, Error> {
    let mut found = Found { boot: spent(services), ..Found::default() };
    let (peer, stream) = match end {
        End::Listens => {
            let accepted = vchan::listen(services, NAME)?.accept().await?;
            (Some(accepted.peer), accepted.stream)
        }
        End::Connects => (None, vchan::connect(services, NAME).await?),
        End::ToLinux(path) => {
            (None, Client::new(services.clone(), DomId::DOM0, path)?.connect().await?)
        }
    };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(65_536).map_err(|_| drivers::Error::NO_MEMORY)?;
    bytes.resize(65_536, 7);
    let room = ((RUNS + 1) * plan.trips) as usize;
    found.trips.try_reserve_exact(room).map_err(|_| drivers::Error::NO_MEMORY)?;
    let measures = end != End::Listens;
    let mut bench = Bench { services, clock, measures, plan, stream, port: None, bytes, found };
    if !matches!(end, End::ToLinux(_)) {
        bench.port = Some(bench.port(peer).await?);
    }
    for (work, between, with_linux) in WORKS {
        let op = if bench.port.is_some() { between } else { with_linux };
        if !op.is_empty() {
            bench.measure(work, op).await?;
        }
    }
    bench.stream.close().await?;
    Ok(bench.found)
}

struct Bench<'a, X: Platform> {
    services: &'a Services<X>,
    clock: &'a Clock,
    measures: bool,
    plan: Plan,
    stream: GuestStream<X>,
    port: Option<Port<X>>,
    bytes: Vec<u8>,
    found: Found,
}

impl<X: Platform> Bench<'_, X> {
    /// Opens a port between the two ends; `peer` is known at the end that offers it.
    async fn port(&mut self, peer: Option<DomId>) -> Result<Port<X>, Error> {
        let events = &self.services.events;
        let mut named = [0; 6];
        if let Some(peer) = peer {
            let port = events.alloc_unbound(peer)?;
            let (number, domid) = named.split_at_mut(4);
            number.copy_from_slice(&port.number().0.to_le_bytes());
            domid.copy_from_slice(&self.services.domid.get().to_le_bytes());
            self.stream.send(&named).await?;
            return Ok(port);
        }
        self.stream.recv(&mut named).await?;
        let [a, b, c, d, low, high] = named;
        let number = PortNumber(u32::from_le_bytes([a, b, c, d]));
        let peer = DomId::new(u16::from_le_bytes([low, high]));
        let peer = peer.ok_or(Error::PeerViolation("its domid is none"))?;
        let port = events.bind_interdomain(peer, number)?;
        // A port is pending when it's bound.
        port.wait().await;
        Ok(port)
    }

    /// Measures one kind of work, and adds its row.
    async fn measure(&mut self, work: Work, op: &'static str) -> Result<(), Error> {
        let mut least = Least::NONE;
        for run in 0..=RUNS {
            self.meet().await?;
            let before = spent(self.services);
            let (first, start) = self.read();
            self.work(work).await?;
            let (last, end) = self.read();
            let (window, ticks) = ([first, last], end - start);
            let now = spent(self.services);
            let own = [now[0] - before[0], now[1] - before[1]];
            let [hypercalls, allocations] = self.both(own).await?;
            if run > 0 {
                least.add(Least { calls: 1, ticks, hypercalls, allocations, window });
            } else if work == Work::Event {
                self.found.trips.clear();
            }
        }
        if self.measures {
            let (n, times) = match work {
                Work::Event | Work::Byte => (1, self.plan.trips),
                Work::Stream(_) => (MIB, self.plan.mib),
            };
            let times = u64::from(times);
            least.ticks /= times;
            // An event that is sent once more or less in thousands of trips doesn't show.
            least.hypercalls = (least.hypercalls + times / 2) / times;
            least.allocations = least.allocations.div_ceil(times);
            self.found.rows.push(Row { op, n, ours: least, xen: None })?;
        }
        Ok(())
    }

    /// Waits until both ends are ready.
    async fn meet(&mut self) -> Result<(), Error> {
        if self.measures {
            self.stream.send(&[0]).await?;
            self.stream.recv(&mut [0]).await
        } else {
            self.stream.recv(&mut [0]).await?;
            self.stream.send(&[0]).await
        }
    }

    /// Which reading of the clock it is, and the time; the end that doesn't measure needs neither.
    fn read(&self) -> (u32, u64) {
        let time = if self.measures { self.clock.read() } else { 0 };
        (self.clock.readings.get(), time)
    }

    /// Adds the other end's counts to these, at the end that measures.
    async fn both(&mut self, own: [u64; 2]) -> Result<[u64; 2], Error> {
        let mut all = [0; 2];
        for (sum, own) in all.iter_mut().zip(own) {
            let mut word = own.to_le_bytes();
            if self.measures {
                self.stream.recv(&mut word).await?;
                *sum = own.saturating_add(u64::from_le_bytes(word));
            } else {
                self.stream.send(&word).await?;
            }
        }
        Ok(all)
    }

    async fn work(&mut self, work: Work) -> Result<(), Error> {
        match work {
            Work::Event => self.events().await,
            Work::Byte => {
                for _ in 0..self.plan.trips {
                    self.meet().await?;
                }
                Ok(())
            }
            Work::Stream(size) => self.moved(size).await,
        }
    }

    async fn events(&mut self) -> Result<(), Error> {
        let Some(port) = &self.port else { return Ok(()) };
        let (_, mut before) = self.read();
        for _ in 0..self.plan.trips {
            if !self.measures {
                port.wait().await;
                port.send()?;
                continue;
            }
            port.send()?;
            port.wait().await;
            let (_, now) = self.read();
            let trip = u32::try_from(now - before).unwrap_or(u32::MAX);
            drivers::list::push(&mut self.found.trips, trip)?;
            before = now;
        }
        Ok(())
    }

    /// Moves a stream, and answers its end with a byte.
    async fn moved(&mut self, size: usize) -> Result<(), Error> {
        let all = self.plan.mib as usize * MIB as usize;
        if self.measures {
            let message = self.bytes.get(..size).unwrap_or_default();
            for _ in 0..all / size {
                self.stream.write_all(message).await?;
            }
            return self.stream.recv(&mut [0]).await;
        }
        let mut left = all;
        while left > 0 {
            let most = self.bytes.len().min(left);
            let room = self.bytes.get_mut(..most).unwrap_or_default();
            match self.stream.read(room).await? {
                0 => return Err(Error::Closed),
                len => left -= len,
            }
        }
        self.stream.send(&[0]).await
    }
}
