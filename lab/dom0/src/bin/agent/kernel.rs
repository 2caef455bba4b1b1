// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel says of programs that it ended.
//!
//! `xl create` leaves a daemon behind that nobody waits for: if that one faults, it's seen here
//! alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use anyhow::{Context, Result};

use crate::line;

const LOG: &str = "/dev/kmsg";
/// Where the kernel is asked to say so: of signals that a program doesn't expect.
const SWITCH: &str = "/proc/sys/kernel/print-fatal-signals";
/// What it says, before the signal's number.
const SAID: &str = "potentially unexpected fatal signal ";
/// No record is longer.
const RECORD: usize = 8192;

/// Sends word of each, as it comes.
pub fn follow() -> Result<()> {
    fs::write(SWITCH, "1").with_context(|| format!("no {SWITCH}"))?;
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
    match words.and_then(|words| words.split_once(SAID)) {
        Some((_, signal)) => {
            let signal = signal.trim_end_matches('.');
            line::send("trouble", format!("a program was ended by signal {signal}").as_bytes())
        }
        None => Ok(()),
    }
}
