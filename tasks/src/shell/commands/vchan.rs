// SPDX-License-Identifier: MIT OR Apache-2.0
//! Byte channels to other domains: a server or a client that does one job and reports the result.

use alloc::vec::Vec;
use core::fmt::Write;
use core::ops::Range;
use core::pin::pin;

use crc::{Digest, Table};
use drivers::memory::{PAGE_SIZE, Platform};
use drivers::{DomId, Errno, Services, list};
use embassy_futures::select::{Either, select};
use vchan::{Client, GuestBell, GuestPages, GuestStream, Peeked, Reserved, Server, Sizes};

use crate::machine::Machine;
use crate::pattern::{self, SplitMix64};
use crate::shell::args::Args;
use crate::shell::reply::{Done, Failure};
use crate::shell::state::Shell;
use crate::text::{Quoted, Text};

/// The largest packet.
const PACKET: u64 = 70_000;
/// What Ctrl-D sends.
const CTRL_D: u8 = 4;

/// What to do with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Sends back what it receives.
    Echo,
    /// Receives and discards.
    Sink,
    /// Sends the `fill` stream of seed 1.
    Source,
    /// Sends one byte of that stream and waits for one, repeatedly.
    Ping,
    /// Sends what is typed, and prints what it receives.
    Cat,
}

/// The job, and its number of bytes.
#[derive(Debug)]
struct Task {
    work: Work,
    bytes: u64,
    /// The sizes of packets, each sent or received as a whole.
    packets: Option<SplitMix64>,
}

/// Where the channel is, and which end is ours.
enum End<'a> {
    Server(&'a str, Sizes),
    Client(&'a str),
}

/// A channel at work.
struct Job<X: Platform> {
    stream: GuestStream<X>,
    pieces: Pieces,
    /// Bytes processed.
    done: u64,
}

/// Data sent and received, in pieces of a page.
struct Pieces {
    buffer: Vec<u8>,
    /// The part of the buffer still to be sent.
    unsent: Range<usize>,
    /// How much was last taken from the ring.
    taken: usize,
    stream: SplitMix64,
    crc: Digest<'static, u32, Table<1>>,
}

/// Views of a guest's ring.
type Room<'s, 'a, X> = Reserved<'s, 'a, GuestPages<X>, GuestBell<X>>;
type Seen<'r, 'a, X> = Peeked<'r, 'a, GuestPages<X>, GuestBell<X>>;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `vchan serve <domid> <path> echo|sink|source <bytes> [ring=<n>] [packets=<seed>]`
    pub(crate) async fn vchan_serve(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        let (task, sizes) = task(args, true)?;
        self.vchan(peer, End::Server(path, sizes), task, ok).await
    }

    /// `vchan connect <domid> <path> echo|sink|source|ping <bytes or count> [packets=<seed>]`
    pub(crate) async fn vchan_connect(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        let (task, _) = task(args, false)?;
        self.vchan(peer, End::Client(path), task, ok).await
    }

    /// `vchan cat <domid> <path>`
    pub(crate) async fn vchan_cat(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        args.end()?;
        let task = Task { work: Work::Cat, bytes: 0, packets: None };
        self.vchan(peer, End::Client(path), task, ok).await
    }

    /// Opens a channel, does the work, and closes it.
    async fn vchan(&self, peer: DomId, end: End<'_>, task: Task, ok: &mut Text) -> Done {
        let mut ended = Ok(());
        let run = async {
            ended = self.vchan_run(peer, end, task, ok).await;
        };
        self.wait_for(None, pin!(run)).await?;
        ended
    }

    async fn vchan_run(&self, peer: DomId, end: End<'_>, task: Task, ok: &mut Text) -> Done {
        let stream = open(self.services.clone(), peer, end).await.map_err(failure)?;
        let mut buffer = Vec::new();
        list::extend(&mut buffer, core::iter::repeat_n(0, PAGE_SIZE))?;
        let began = self.services.system.now();
        let (random, crc) = (SplitMix64::new(1), pattern::crc());
        let pieces = Pieces { buffer, unsent: 0..0, taken: 0, stream: random, crc };
        let mut job = Job { stream, pieces, done: 0 };
        let (work, bytes) = (task.work, task.bytes);
        let worked = match work {
            Work::Cat => self.cat(&mut job).await,
            _ => job.work(task).await,
        };
        let Job { stream, done, pieces } = job;
        worked.map_err(|error| with_bytes(error, done))?;
        let ns = self.services.system.now() - began;
        let events = stream.events_sent();
        stream.close().await.map_err(|error| with_bytes(error, done))?;
        if work != Work::Cat && done < bytes {
            return Err(with_bytes(vchan::Error::Closed, done));
        }
        let crc = pieces.crc.finalize();
        write!(ok, " bytes={done} crc32={crc:08x} events={events} ms={}", ns / 1_000_000)?;
        if work == Work::Ping {
            write!(ok, " rtt={}", ns.checked_div(done).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Sends what is typed until a Ctrl-D, and prints what it receives.
    async fn cat(&self, job: &mut Job<X>) -> Result<(), vchan::Error> {
        let Job { stream, pieces: Pieces { buffer, crc, .. }, done } = job;
        let (mut receiver, mut sender) = stream.split();
        let types = async {
            loop {
                self.input.typed().await;
                let mut typed = [0; 64];
                let mut len = 0;
                for place in &mut typed {
                    let Some(byte) = self.input.take() else {
                        break;
                    };
                    *place = byte;
                    len += 1;
                    if byte == CTRL_D {
                        break;
                    }
                }
                let typed = typed.get(..len).unwrap_or_default();
                let (typed, ends) = match typed {
                    [before @ .., CTRL_D] => (before, true),
                    all => (all, false),
                };
                // Nobody types more at once than fits into a ring.
                sender.send(typed).await?;
                if ends {
                    return Ok(());
                }
            }
        };
        let prints = async {
            loop {
                let len = receiver.read(buffer).await?;
                let bytes = buffer.get(..len).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                self.services.console.print(bytes).await;
                crc.update(bytes);
                *done += bytes.len() as u64;
            }
        };
        match select(types, prints).await {
            Either::First(ended) | Either::Second(ended) => ended,
        }
    }
}

impl<X: Platform> Job<X> {
    /// Sends and receives in turn, as the job requires, until all bytes are processed or the peer
    /// has closed. There is only one place that waits for room and one that waits for bytes, since
    /// each costs the image hundreds of bytes.
    async fn work(&mut self, task: Task) -> Result<(), vchan::Error> {
        let Task { work, bytes, mut packets } = task;
        let mut sends = matches!(work, Work::Source | Work::Ping);
        while self.done < bytes {
            let (mut left, mut least) = (bytes - self.done, 1);
            if let Some(size) = packets.as_mut().and_then(Iterator::next) {
                left = left.min(1 + size % PACKET);
                least = left as usize;
            }
            if sends {
                let mut sender = self.stream.sender();
                let room = sender.reserve(least).await?;
                self.done += self.pieces.send(room, work, left)?;
            } else {
                let mut receiver = self.stream.receiver();
                let seen = receiver.peek(least).await?;
                if seen.is_empty() {
                    break;
                }
                self.done += self.pieces.receive(&seen, work, left)?;
                let taken = self.pieces.taken;
                seen.consume(taken)?;
            }
            sends = match work {
                Work::Source => true,
                Work::Sink | Work::Cat => false,
                Work::Echo => !self.pieces.unsent.is_empty(),
                Work::Ping => !sends,
            };
        }
        Ok(())
    }
}

impl Pieces {
    /// Fills the room as far as there is something to send; returns how many bytes that processed.
    fn send<X: Platform>(
        &mut self,
        mut room: Room<'_, '_, X>,
        work: Work,
        left: u64,
    ) -> Result<u64, vchan::Error> {
        let most = if work == Work::Ping { 1 } else { room.len() };
        let all = (most as u64).min(left) as usize;
        let mut at = 0;
        while at < all {
            if self.unsent.is_empty() {
                if work == Work::Echo {
                    break;
                }
                for (word, value) in self.buffer.chunks_exact_mut(8).zip(&mut self.stream) {
                    word.copy_from_slice(&value.to_le_bytes());
                }
                self.unsent = 0..self.buffer.len();
            }
            let len = (all - at).min(self.unsent.len());
            let piece = self.buffer.get(self.unsent.start..self.unsent.start + len);
            let piece = piece.unwrap_or_default();
            room.write(at, piece)?;
            self.crc.update(piece);
            self.unsent.start += len;
            at += len;
        }
        room.commit(at)?;
        Ok(if work == Work::Ping { 0 } else { at as u64 })
    }

    /// Handles received bytes; returns how many bytes that processed.
    fn receive<X: Platform>(
        &mut self,
        seen: &Seen<'_, '_, X>,
        work: Work,
        left: u64,
    ) -> Result<u64, vchan::Error> {
        let most = if work == Work::Sink { seen.len() } else { self.buffer.len() };
        let all = (most.min(seen.len()) as u64).min(left) as usize;
        self.taken = if work == Work::Ping { 1 } else { all };
        let mut at = 0;
        // A ping's answer is taken without looking at it; the next byte is still to be sent.
        while at < all && work != Work::Ping {
            let len = (all - at).min(self.buffer.len());
            let piece = self.buffer.get_mut(..len).unwrap_or_default();
            seen.read(at, piece)?;
            at += len;
            if work == Work::Sink {
                self.crc.update(piece);
            } else {
                // It is summed when sent back.
                self.unsent = 0..len;
            }
        }
        Ok(match work {
            Work::Sink => all as u64,
            Work::Ping => 1,
            _ => 0,
        })
    }
}

/// Parses the rest of the line: the job, and the ring sizes.
fn task(args: &mut Args<'_>, serves: bool) -> Result<(Task, Sizes), Failure> {
    let work = match args.word("what to do")? {
        "echo" => Work::Echo,
        "sink" => Work::Sink,
        "source" => Work::Source,
        "ping" if !serves => Work::Ping,
        _ => return Err(args.wrong(format_args!("there is no such thing to do"))),
    };
    let mut task = Task { work, bytes: args.number("<bytes>")?, packets: None };
    let mut sizes = Sizes::default();
    while let Some(word) = args.optional() {
        if let (Some(size), true) = (word.strip_prefix("ring="), serves) {
            let size = args.parse("ring", size)?;
            sizes = Sizes::new(size, size).map_err(failure)?;
        } else if let (Some(seed), Work::Sink | Work::Source) =
            (word.strip_prefix("packets="), work)
        {
            task.packets = Some(SplitMix64::new(args.parse("packets", seed)?));
        } else {
            return Err(args.wrong(format_args!("{} is not understood here", Quoted(word))));
        }
    }
    Ok((task, sizes))
}

async fn open<X: Platform>(
    services: Services<X>,
    peer: DomId,
    end: End<'_>,
) -> Result<GuestStream<X>, vchan::Error> {
    match end {
        End::Server(path, sizes) => Server::new(services, peer, path, sizes)?.accept().await,
        End::Client(path) => Client::new(services, peer, path)?.connect().await,
    }
}

fn failure(error: vchan::Error) -> Failure {
    match error {
        vchan::Error::System(error) => error.into(),
        other => Failure::new(other.errno(), format_args!("{other}")),
    }
}

/// Why a channel ended early, and after how many bytes.
fn with_bytes(error: vchan::Error, bytes: u64) -> Failure {
    let errno = if error == vchan::Error::Closed { Errno::EPIPE } else { error.errno() };
    Failure::new(errno, format_args!("bytes={bytes} {error}"))
}
