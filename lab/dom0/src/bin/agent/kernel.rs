// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel says of programs that it ended.
//!
//! `xl create` leaves a daemon behind that nobody waits for: if that one faults, it's seen here
//! alone.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use anyhow::{Context, Result};

use crate::line;

const LOG: &str = "/dev/kmsg";
/// No record is longer.
const RECORD: usize = 8192;

/// Sends word of each, as it comes.
pub fn follow() -> Result<()> {
    let mut log = File::open(LOG).with_context(|| format!("no {LOG}"))?;
    log.seek(SeekFrom::End(0))?;
    let mut record = [0; RECORD];
    loop {
        match log.read(&mut record) {
            Ok(len) => tell(&String::from_utf8_lossy(&record[..len]))?,
            // It was overwritten before it was read; the next is there.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A record is `<level>,<number>,<time>,<flags>;<words>`, and lines that are about it.
fn tell(record: &str) -> Result<()> {
    let words = record.split_once(';').and_then(|(_, words)| words.lines().next());
    match words.filter(|words| words.contains("]: segfault at ")) {
        Some(words) => line::send("trouble", words.as_bytes()),
        None => Ok(()),
    }
}
