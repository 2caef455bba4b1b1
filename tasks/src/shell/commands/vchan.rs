//! Byte channels to other domains: a server or a client that does one thing and tells how it went.

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
use crate::text::Text;

/// What Ctrl-D sends.
const CTRL_D: u8 = 4;

/// What is done with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Sends back what comes.
    Echo,
    /// Takes what comes.
    Sink,
    /// Sends the `fill` stream of seed 1.
    Source,
    /// Sends one byte of that and waits for one, so many times.
    Ping,
    /// Sends what is typed, and prints what comes.
    Cat,
}

/// Where a channel is, and from which end.
enum End<'a> {
    Server(&'a str, Sizes),
    Client(&'a str),
}

/// A channel at work.
struct Job<X: Platform> {
    stream: GuestStream<X>,
    pieces: Pieces,
    /// Bytes done.
    done: u64,
}

/// What is sent and received, in pieces of a page.
struct Pieces {
    buffer: Vec<u8>,
    /// What of the buffer is still to be sent.
    unsent: Range<usize>,
    /// What of the ring was taken last.
    taken: usize,
    stream: SplitMix64,
    crc: Digest<'static, u32, Table<1>>,
}

/// Views of a guest's ring.
type Room<'s, 'a, X> = Reserved<'s, 'a, GuestPages<X>, GuestBell<X>>;
type Seen<'r, 'a, X> = Peeked<'r, 'a, GuestPages<X>, GuestBell<X>>;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `vchan serve <domid> <path> echo|sink|source <bytes> [ring=<n>]`
    pub(crate) async fn vchan_serve(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        let work = work(args, false)?;
        let bytes = args.number("<bytes>")?;
        let sizes = match args.optional() {
            None => Sizes::default(),
            Some(word) => {
                let size = word.strip_prefix("ring=");
                let wrong = args.wrong(format_args!("{word:?} is not ring=<n>"));
                let size = args.parse("ring", size.ok_or(wrong)?)?;
                Sizes::new(size, size).map_err(failure)?
            }
        };
        args.end()?;
        self.vchan(peer, End::Server(path, sizes), work, bytes, ok).await
    }

    /// `vchan connect <domid> <path> echo|sink|source|ping <bytes or count>`
    pub(crate) async fn vchan_connect(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        let work = work(args, true)?;
        let bytes = args.number("<bytes or count>")?;
        args.end()?;
        self.vchan(peer, End::Client(path), work, bytes, ok).await
    }

    /// `vchan cat <domid> <path>`
    pub(crate) async fn vchan_cat(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (peer, path) = (args.domid()?, args.word("<path>")?);
        args.end()?;
        self.vchan(peer, End::Client(path), Work::Cat, 0, ok).await
    }

    /// Opens a channel, does the work, and closes it.
    async fn vchan(
        &self,
        peer: DomId,
        end: End<'_>,
        work: Work,
        bytes: u64,
        ok: &mut Text,
    ) -> Done {
        let mut ended = Ok(());
        let run = async {
            ended = self.vchan_run(peer, end, work, bytes, ok).await;
        };
        self.wait_for(None, pin!(run)).await?;
        ended
    }

    async fn vchan_run(
        &self,
        peer: DomId,
        end: End<'_>,
        work: Work,
        bytes: u64,
        ok: &mut Text,
    ) -> Done {
        let stream = open(self.services.clone(), peer, end).await.map_err(failure)?;
        let mut buffer = Vec::new();
        list::extend(&mut buffer, core::iter::repeat_n(0, PAGE_SIZE))?;
        let began = self.services.system.now();
        let (random, crc) = (SplitMix64::new(1), pattern::crc());
        let pieces = Pieces { buffer, unsent: 0..0, taken: 0, stream: random, crc };
        let mut job = Job { stream, pieces, done: 0 };
        let worked = match work {
            Work::Cat => self.cat(&mut job).await,
            _ => job.work(work, bytes).await,
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

    /// Sends what is typed up to a Ctrl-D, and prints what comes.
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
                // Nobody types more at once than a ring has room for.
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
    /// Sends and receives in turn, as the work wants it, until so many bytes are done or the peer
    /// has closed. One place where it waits for room and one where it waits for bytes: each costs
    /// the image hundreds of bytes.
    async fn work(&mut self, work: Work, bytes: u64) -> Result<(), vchan::Error> {
        let mut sends = matches!(work, Work::Source | Work::Ping);
        while self.done < bytes {
            let left = bytes - self.done;
            if sends {
                let mut sender = self.stream.sender();
                let room = sender.reserve(1).await?;
                self.done += self.pieces.send(room, work, left)?;
            } else {
                let mut receiver = self.stream.receiver();
                let seen = receiver.peek(1).await?;
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
    /// Fills the room as far as there is something to send; how many bytes are done by it.
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

    /// Looks at what came; how many bytes are done by it.
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
        // An answer is taken and not looked at; what was asked is still to be sent.
        while at < all && work != Work::Ping {
            let len = (all - at).min(self.buffer.len());
            let piece = self.buffer.get_mut(..len).unwrap_or_default();
            seen.read(at, piece)?;
            at += len;
            if work == Work::Sink {
                self.crc.update(piece);
            } else {
                // Summed when it's sent back.
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

/// The next word as what is to be done.
fn work(args: &mut Args<'_>, connects: bool) -> Result<Work, Failure> {
    match args.word("what to do")? {
        "echo" => Ok(Work::Echo),
        "sink" => Ok(Work::Sink),
        "source" => Ok(Work::Source),
        "ping" if connects => Ok(Work::Ping),
        _ => Err(args.wrong(format_args!("there is no such thing to do"))),
    }
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
