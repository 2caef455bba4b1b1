// SPDX-License-Identifier: MIT OR Apache-2.0
//! The serial line to the lab's driver.
//!
//! Frames are never interleaved: a sender locks the line until its frame is written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result};
use dom0::frame;
use nix::fcntl::OFlag;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

const LINE: &str = "/dev/ttyS1";

static OUT: OnceLock<Mutex<File>> = OnceLock::new();

/// Opens the line and returns the end to read commands from.
pub fn open() -> Result<impl BufRead> {
    let line = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(LINE)
        .with_context(|| format!("no {LINE}"))?;
    let mut settings = tcgetattr(&line)?;
    cfmakeraw(&mut settings);
    tcsetattr(&line, SetArg::TCSANOW, &settings)?;
    let _ = OUT.set(Mutex::new(line.try_clone()?));
    Ok(BufReader::new(line))
}

/// Sends one frame.
pub fn send(channel: &str, bytes: &[u8]) -> Result<()> {
    let out = OUT.get().context("the line is not open")?;
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(out.write_all(frame::encode(channel, bytes).as_bytes())?)
}
