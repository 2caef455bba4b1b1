// SPDX-License-Identifier: MIT OR Apache-2.0
//! The far end of a Unix socket that Debian's `vchan-socket-proxy` forwards to a guest: `plug
//! connect|listen <socket> <send> <receive>`. Sends `<send>` bytes of the `fill` stream of seed 1
//! and receives `<receive>` bytes, both at once, and prints the CRC-32 of each.
//!
//! It stays until its input ends. A listening proxy may not be ready yet, so `connect` retries for
//! 10 s.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tasks::pattern::{self, SplitMix64};

/// The most bytes sent or received at once.
const PIECE: usize = 65_536;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [how, path, send, receive] = words.as_slice() else {
        bail!("usage: plug connect|listen <socket> <send> <receive>");
    };
    let (send, receive) = (send.parse()?, receive.parse()?);
    let mut listener = None;
    let socket = if how == "listen" {
        let listens = UnixListener::bind(path).context("no socket to listen at")?;
        println!("plug: ready");
        listener.insert(listens).accept()?.0
    } else {
        connect(path)?
    };
    let (reader, writer) = (socket.try_clone()?, socket.try_clone()?);
    let sends = thread::spawn(move || sent(writer, send));
    let received = received(reader, receive)?;
    let sent = sends.join().ok().context("the sender died")??;
    println!("ok plug sent={send} crc32={sent:08x} received={receive} crc={received:08x}");
    // Keep the socket and its listener open, or else the proxy might or might not end by itself.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn connect(path: &str) -> Result<UnixStream> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && Instant::now() < end =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            socket => return socket.context("nobody listens"),
        }
    }
}

fn sent(mut socket: UnixStream, bytes: usize) -> Result<u32> {
    let (mut stream, mut crc, mut left) = (SplitMix64::new(1), pattern::crc(), bytes);
    while left > 0 {
        let piece: Vec<u8> = stream.by_ref().take(PIECE / 8).flat_map(u64::to_le_bytes).collect();
        let piece = &piece[..left.min(PIECE)];
        socket.write_all(piece)?;
        crc.update(piece);
        left -= piece.len();
    }
    Ok(crc.finalize())
}

fn received(mut socket: UnixStream, bytes: usize) -> Result<u32> {
    let (mut crc, mut left, mut buffer) = (pattern::crc(), bytes, vec![0; PIECE]);
    while left > 0 {
        let len = socket.read(&mut buffer[..left.min(PIECE)])?;
        if len == 0 {
            bail!("{left} of {bytes} bytes did not come");
        }
        crc.update(&buffer[..len]);
        left -= len;
    }
    Ok(crc.finalize())
}
