// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line to dom0's agent, which carries frames in both directions.
//!
//! This program's own input can be merged into the incoming frames, so that there is one place to
//! wait.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use dom0::frame;

use crate::host::steps;

/// What came in.
pub enum Incoming {
    /// A frame: its channel and its bytes.
    Frame(String, Vec<u8>),
    /// Bytes from this program's own input; empty at its end.
    Input(Vec<u8>),
    /// The line is closed.
    Gone,
}

/// The line to the agent.
pub struct Line {
    socket: UnixStream,
    incoming: Receiver<Incoming>,
    sender: Sender<Incoming>,
    log: File,
}

impl Line {
    /// Opens a line, and returns it with its other end. All frames except the consoles' are logged.
    pub fn open(log: &Path) -> Result<(Line, UnixStream)> {
        let (socket, theirs) = UnixStream::pair()?;
        let (sender, incoming) = mpsc::channel();
        let (reader, frames) = (BufReader::new(socket.try_clone()?), sender.clone());
        thread::spawn(move || {
            for line in reader.split(b'\n').map_while(Result::ok) {
                if let Some((channel, bytes)) = frame::decode(&line) {
                    let _ = frames.send(Incoming::Frame(channel.to_owned(), bytes));
                }
            }
            let _ = frames.send(Incoming::Gone);
        });
        Ok((Line { socket, incoming, sender, log: steps::create(log)? }, theirs))
    }

    /// Sends a frame.
    pub fn send(&mut self, channel: &str, bytes: &[u8]) -> Result<()> {
        let line = frame::encode(channel, bytes);
        write!(self.log, "> {line}")?;
        self.socket.write_all(line.as_bytes()).context("the machine is gone")
    }

    /// Returns the next thing to come in, if any does by `end`.
    pub fn next(&mut self, end: Instant) -> Result<Option<Incoming>> {
        let next = self.incoming.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        if let Some(Incoming::Frame(channel, bytes)) = &next
            && !channel.starts_with("console.")
        {
            write!(self.log, "{}", frame::encode(channel, bytes))?;
        }
        Ok(next)
    }

    /// Merges this program's input into what comes in from now on.
    pub fn listen_to_input(&self) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            let (mut input, mut buffer) = (std::io::stdin(), [0; 1024]);
            loop {
                let n = input.read(&mut buffer).unwrap_or(0);
                let _ = sender.send(Incoming::Input(buffer[..n].to_vec()));
                if n == 0 {
                    return;
                }
            }
        });
    }
}
