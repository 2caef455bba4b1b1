// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a byte channel, by the crate `vchan-linux`: `stream serve|connect <domid> <path>
//! echo|sink|source <bytes>`, with the meanings of the shell's `vchan` command.
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

fn run(words: &[String]) -> Result<String> {
    let [role, domid, path, work, bytes] = words else {
        bail!("usage: stream serve|connect <domid> <path> echo|sink|source <bytes>");
    };
    let (peer, bytes) = (domid.parse()?, bytes.parse().context("<bytes> is no number")?);
    if !["serve", "connect"].contains(&role.as_str())
        || !["echo", "sink", "source"].contains(&work.as_str())
    {
        bail!("serve or connect, and echo, sink or source");
    }
    block_on(async {
        let mut stream = open(role == "serve", peer, path).await?;
        println!("open");
        let began = Instant::now();
        let (done, crc) = moved(&mut stream, work, bytes).await?;
        let events = stream.events_sent();
        stream.close().await?;
        let ms = began.elapsed().as_millis();
        if done < bytes {
            return Err(Error::Closed).context(format!("bytes={done}"));
        }
        Ok(format!("{role} bytes={done} crc32={crc:08x} events={events} ms={ms}"))
    })
}

/// Waits for the other end.
async fn open(serves: bool, peer: DomId, path: &str) -> Result<StreamOn<Linux>, Error> {
    let linux = Linux::open()?;
    let opens = async {
        if serves {
            Server::new(linux.clone(), peer, path, Sizes::default())?.accept().await
        } else {
            Client::new(linux.clone(), peer, path)?.connect().await
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
async fn moved(stream: &mut StreamOn<Linux>, work: &str, bytes: u64) -> Result<(u64, u32), Error> {
    let (mut words, mut crc, mut done) = (SplitMix64::new(1), pattern::crc(), 0);
    let mut buffer = vec![0; PIECE];
    while done < bytes {
        let most = (bytes - done).min(PIECE as u64) as usize;
        let piece = if work == "source" {
            for (place, word) in buffer.chunks_exact_mut(8).zip(&mut words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            &buffer[..most]
        } else {
            let len = stream.read(&mut buffer[..most]).await?;
            &buffer[..len]
        };
        if piece.is_empty() {
            break;
        }
        if work != "sink" {
            stream.write_all(piece).await?;
        }
        crc.update(piece);
        done += piece.len() as u64;
    }
    Ok((done, crc.finalize()))
}
