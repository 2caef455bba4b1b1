// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a byte channel, by the crate `vchan-linux`: `stream serve|connect <domid> <path>
//! echo|sink|source <bytes> [ring=<n>] [packets=<seed>]`, with the meanings of the shell's `vchan`
//! command.
//!
//! It says `open` once the other end is there, and ends with a line with the number of bytes and
//! their CRC-32, or with its error. If nobody comes within 10 s, that is ETIMEDOUT.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use drivers::{DomId, Errno};
use embassy_futures::select::{Either, select};
use tasks::pattern::{self, SplitMix64};
use vchan::{Client, Error, Host, Server, Sizes, StreamOn};
use vchan_linux::{Linux, block_on};

/// The most bytes sent or received at once.
const PIECE: usize = 65_536;
/// The largest packet.
const PACKET: u64 = 70_000;
/// How long the other end may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(line) => {
            println!("ok stream {line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let known = error.downcast_ref::<Error>();
            let errno = known.map_or(Errno::EINVAL, Error::errno);
            println!("error stream errno={errno} {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What to do.
struct Task<'a> {
    serves: bool,
    peer: DomId,
    path: &'a str,
    work: &'a str,
    bytes: u64,
    sizes: Sizes,
    /// The sizes of packets, each sent or received as a whole.
    packets: Option<SplitMix64>,
}

impl Task<'_> {
    fn parse(words: &[String]) -> Result<Task<'_>> {
        let [role, domid, path, work, bytes, options @ ..] = words else {
            bail!(
                "usage: stream serve|connect <domid> <path> echo|sink|source <bytes> [ring=<n>] \
                 [packets=<seed>]"
            );
        };
        let serves = role == "serve";
        if !["serve", "connect"].contains(&role.as_str())
            || !["echo", "sink", "source"].contains(&work.as_str())
        {
            bail!("serve or connect, and echo, sink or source");
        }
        let (peer, bytes) = (domid.parse()?, bytes.parse().context("<bytes> is no number")?);
        let mut task =
            Task { serves, peer, path, work, bytes, sizes: Sizes::default(), packets: None };
        for option in options {
            match option.split_once('=') {
                Some(("ring", size)) if serves => {
                    let size = size.parse().context("ring is no number")?;
                    task.sizes = Sizes::new(size, size)?;
                }
                Some(("packets", seed)) if work != "echo" => {
                    task.packets =
                        Some(SplitMix64::new(seed.parse().context("packets is no number")?));
                }
                _ => bail!("{option} is not understood here"),
            }
        }
        Ok(task)
    }

    /// The size of the next packet or, without packets, of the next piece at most.
    fn next(&mut self, left: u64) -> usize {
        let most = match self.packets.as_mut().and_then(Iterator::next) {
            Some(word) => 1 + word % PACKET,
            None => PIECE as u64,
        };
        left.min(most) as usize
    }
}

fn run(words: &[String]) -> Result<String> {
    let mut task = Task::parse(words)?;
    block_on(async {
        let mut stream = open(&task).await?;
        println!("open");
        let began = Instant::now();
        let (done, crc) = moved(&mut stream, &mut task).await?;
        let events = stream.events_sent();
        stream.close().await?;
        let ms = began.elapsed().as_millis();
        if done < task.bytes {
            return Err(Error::Closed).context(format!("bytes={done}"));
        }
        let role = if task.serves { "serve" } else { "connect" };
        Ok(format!("{role} bytes={done} crc32={crc:08x} events={events} ms={ms}"))
    })
}

/// Waits for the other end.
async fn open(task: &Task<'_>) -> Result<StreamOn<Linux>, Error> {
    let linux = Linux::open()?;
    let opens = async {
        if task.serves {
            Server::new(linux.clone(), task.peer, task.path, task.sizes)?.accept().await
        } else {
            Client::new(linux.clone(), task.peer, task.path)?.connect().await
        }
    };
    let late = linux.pause(PATIENCE.as_nanos() as u64);
    match select(opens, late).await {
        Either::First(opened) => opened,
        Either::Second(()) => {
            Err(drivers::Error::Local(Errno::ETIMEDOUT, &"nobody came within 10 s").into())
        }
    }
}

/// Moves bytes until there are enough or the peer has closed. Returns their number and CRC-32.
async fn moved(stream: &mut StreamOn<Linux>, task: &mut Task<'_>) -> Result<(u64, u32), Error> {
    let (mut content, mut crc, mut done) = (Content::new(), pattern::crc(), 0);
    let mut buffer = vec![0; PIECE.max(PACKET as usize)];
    while done < task.bytes {
        let len = task.next(task.bytes - done);
        let whole = task.packets.is_some();
        let piece = &mut buffer[..len];
        let len = match task.work {
            "source" => {
                content.fill(piece);
                len
            }
            _ if whole => match stream.recv(piece).await {
                Err(Error::Closed) => 0,
                received => received.map(|()| len)?,
            },
            _ => stream.read(piece).await?,
        };
        let piece = &buffer[..len];
        if piece.is_empty() {
            break;
        }
        match task.work {
            "sink" => {}
            _ if whole => stream.send(piece).await?,
            _ => stream.write_all(piece).await?,
        }
        crc.update(piece);
        done += piece.len() as u64;
    }
    Ok((done, crc.finalize()))
}

/// The `fill` stream of seed 1, in pieces of any length.
struct Content {
    words: SplitMix64,
    /// What is left of the last word.
    rest: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        Self { words: SplitMix64::new(1), rest: Vec::new() }
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        let begun = self.rest.len().min(bytes.len());
        let (first, bytes) = bytes.split_at_mut(begun);
        first.copy_from_slice(&self.rest[..begun]);
        self.rest.drain(..begun);
        for place in bytes.chunks_mut(8) {
            let word = self.words.next().unwrap_or_default().to_le_bytes();
            place.copy_from_slice(&word[..place.len()]);
            self.rest.extend_from_slice(&word[place.len()..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_in_pieces_of_any_length() {
        let mut whole = [0; 64];
        Content::new().fill(&mut whole);
        for len in 1..20 {
            let (mut pieces, mut content) = ([0; 64], Content::new());
            pieces.chunks_mut(len).for_each(|piece| content.fill(piece));
            assert_eq!(pieces, whole, "{len}");
        }
    }
}
