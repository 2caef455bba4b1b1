// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests with channels between them, found by name: what moves through them, and what it costs
//! each guest.
//!
//! Both run the same phases in the same order; one listens, the other connects. One line per phase
//! reports what was moved, its CRC-32, and what this guest did for it: hypercalls, and those among
//! them that sent an event, blocked, or set a timer; bytes copied; heap allocations. Connecting and
//! closing are not counted.
//!
//! Not supported: more than one peer, or a peer that runs another plan.

mod moving; // what is sent and received in one phase

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::array;
use core::fmt::Write;
use core::future::poll_fn;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::Poll;

use drivers::memory::{PAGE_SIZE, Platform};
use drivers::{Call, Services};
use tasks::text::Text;
use vchan::{Buffered, Error, GuestStream};

use self::moving::{Kind, Moved};

/// Number of channels open at the same time in the last phase.
const MANY: usize = 16;
/// The sizes of messages, in bytes.
const SIZES: [usize; 4] = [1, 64, 4096, 65_536];

/// Which end of all channels this guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It listens and receives.
    Listens,
    /// It connects and sends.
    Connects,
}

/// How much to move.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Number of one-byte messages, each of which is answered.
    pub messages: u64,
    /// Bytes to send in messages of each size, and through views; at most 1 MiB in one-byte
    /// messages.
    pub bytes: u64,
    /// Bytes through one channel, in messages of 65,536 bytes.
    pub long: u64,
    /// Bytes through each of 16 channels at the same time, half of them in the other direction.
    pub each: u64,
}

/// A guest's counts.
#[derive(Clone, Copy, Debug)]
struct Counted([u64; 6]);

/// The keys of the counts.
const KEYS: [&str; 6] = ["hypercalls", "events", "blocks", "timers", "copied", "allocations"];

impl Counted {
    fn now<X: Platform>(services: &Services<X>) -> Self {
        let counters = services.system.counters();
        let calls = |call| counters.calls(call);
        Self([
            counters.hypercalls(),
            calls(Call::EvtchnSend),
            calls(Call::SchedBlock),
            // After the boot it is used only for timers.
            calls(Call::Vcpu),
            counters.copied.load(Ordering::Relaxed),
            counters.allocations.load(Ordering::Relaxed),
        ])
    }

    fn since(self, before: Self) -> Self {
        Self(array::from_fn(|at| self.0[at].wrapping_sub(before.0[at])))
    }
}

/// Runs all phases, and prints a line for each; then `ok channels passed=<phases>`, or why it
/// failed. `heap` returns the bytes of heap in use.
pub async fn run<X: Platform>(
    services: &Services<X>,
    heap: &dyn Fn() -> usize,
    (end, plan): (End, Plan),
    say: &dyn Fn(&str),
) {
    let trial = Trial { services, heap, end, say };
    let mut line = Text::new();
    // If memory runs out, the line is left out, and whoever waits for it times out.
    let _ = match trial.phases(plan).await {
        Ok(passed) => write!(line, "ok channels passed={passed}"),
        Err(error) => write!(line, "error channels errno={} status=- {error}", error.errno()),
    };
    say(line.as_str());
}

struct Trial<'a, X: Platform> {
    services: &'a Services<X>,
    heap: &'a dyn Fn() -> usize,
    end: End,
    say: &'a dyn Fn(&str),
}

impl<X: Platform> Trial<'_, X> {
    /// Runs all phases, and returns their number.
    async fn phases(&self, plan: Plan) -> Result<u32, Error> {
        self.phase("answered", Kind::Answered, plan.messages).await?;
        for size in SIZES {
            let name = moving::text(format_args!("messages-{size}"))?;
            // A million messages are enough.
            let bytes = if size == 1 { plan.bytes.min(1 << 20) } else { plan.bytes };
            self.phase(&name, Kind::Messages(size), bytes).await?;
        }
        self.phase("views", Kind::Views, plan.bytes).await?;
        self.phase("long", Kind::Messages(65_536), plan.long).await?;
        self.at_once(plan.each).await?;
        Ok(SIZES.len() as u32 + 4)
    }

    /// One phase, with a new channel.
    async fn phase(&self, name: &str, kind: Kind, bytes: u64) -> Result<(), Error> {
        let (mut stream, memory) = self.open(name).await?;
        let sends = self.end == End::Connects;
        let mut buffer = moving::buffer(65_536)?;
        moving::meet(&mut stream, sends).await?;
        let before = Counted::now(self.services);
        let moved = moving::run(&mut stream, sends, kind, bytes, &mut buffer).await?;
        let spent = Counted::now(self.services).since(before);
        self.tell(name, moved, spent, memory)?;
        stream.close().await
    }

    /// Many channels at the same time; every other one is used in the other direction.
    async fn at_once(&self, each: u64) -> Result<(), Error> {
        let (mut used, mut moving) = (0, Vec::new());
        for at in 0..MANY {
            let (mut stream, memory) = self.open("at-once").await?;
            used += memory;
            let mut buffer = moving::buffer(PAGE_SIZE)?;
            let sends = (self.end == End::Connects) == (at % 2 == 0);
            let all = async move {
                moving::meet(&mut stream, sends).await?;
                let kind = Kind::Messages(PAGE_SIZE);
                let moved = moving::run(&mut stream, sends, kind, each, &mut buffer).await?;
                stream.close().await?;
                Ok(moved)
            };
            // Too many to fit on a guest's stack.
            let all: Pin<Box<dyn Future<Output = Result<Moved, Error>>>> = Box::pin(all);
            drivers::list::push(&mut moving, (all, None))?;
        }
        let before = Counted::now(self.services);
        poll_fn(|context| {
            for (one, moved) in &mut moving {
                if moved.is_none()
                    && let Poll::Ready(done) = one.as_mut().poll(context)
                {
                    *moved = Some(done);
                }
            }
            let done = moving.iter().all(|(_, moved)| moved.is_some());
            if done { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let mut all = Moved::default();
        for (_, moved) in moving {
            all.add(moved.unwrap_or(Err(Error::Closed))?);
        }
        let spent = Counted::now(self.services).since(before);
        self.tell("at-once", all, spent, used / MANY as u64)
    }

    /// A channel with this name, and the memory in bytes that this end needs for it besides the
    /// rings.
    async fn open(&self, name: &str) -> Result<(GuestStream<X>, u64), Error> {
        let frames = || {
            let count = self.services.system.frames();
            count.total - count.free
        };
        let before = (frames() as usize * PAGE_SIZE) + (self.heap)();
        let stream = match self.end {
            End::Listens => {
                let mut listener = vchan::listen(self.services, name)?;
                listener.accept().await?.stream
            }
            End::Connects => vchan::connect(self.services, name).await?,
        };
        // Including the optional read buffer.
        let stream = Buffered::new(stream)?;
        let after = (frames() as usize * PAGE_SIZE) + (self.heap)();
        let rings = match self.end {
            End::Listens => 2 * 65_536,
            // The mapping end provides no pages.
            End::Connects => 0,
        };
        Ok((stream.into_inner(), after.saturating_sub(before + rings) as u64))
    }

    fn tell(&self, name: &str, moved: Moved, spent: Counted, memory: u64) -> Result<(), Error> {
        let Moved { bytes, crc } = moved;
        let mut line = String::new();
        moving::push(&mut line, format_args!("ok channel {name} bytes={bytes} crc32={crc:08x}"))?;
        for (key, value) in KEYS.iter().zip(spent.0) {
            moving::push(&mut line, format_args!(" {key}={value}"))?;
        }
        moving::push(&mut line, format_args!(" memory={memory}"))?;
        (self.say)(&line);
        Ok(())
    }
}
