// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's reports of programs that faulted.
//!
//! `xl create` leaves a daemon behind that nobody waits for: if it faults, that shows only here.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use anyhow::{Context, Result};

use crate::line;

const LOG: &str = "/dev/kmsg";
/// The switch that makes the kernel report unexpected fatal signals.
const SWITCH: &str = "/proc/sys/kernel/print-fatal-signals";
/// The report's text before the signal number.
const SAID: &str = "potentially unexpected fatal signal ";
/// SIGILL, SIGABRT, SIGBUS, SIGFPE and SIGSEGV: a program's own faults. sshd's sandbox, for one, ends
/// its processes by SIGSYS on purpose.
const FAULTS: [&str; 5] = ["4", "6", "7", "8", "11"];
/// The maximum length of a record.
const RECORD: usize = 8192;

/// Forwards each report as it comes.
pub fn follow() -> Result<()> {
    fs::write(SWITCH, "1").with_context(|| format!("no {SWITCH}"))?;
    let mut log = File::open(LOG).with_context(|| format!("no {LOG}"))?;
    log.seek(SeekFrom::End(0))?;
    let mut record = [0; RECORD];
    loop {
        match log.read(&mut record) {
            Ok(len) => tell(&String::from_utf8_lossy(&record[..len]))?,
            // It was overwritten before it was read; continue with the next one.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A record is `<level>,<number>,<time>,<flags>;<words>`, followed by lines with details.
fn tell(record: &str) -> Result<()> {
    let words = record.split_once(';').and_then(|(_, words)| words.lines().next());
    let signal = words.and_then(|words| words.split_once(SAID)).map(|(_, signal)| signal);
    match signal.map(|signal| signal.trim_end_matches('.')) {
        Some(signal) if FAULTS.contains(&signal) => {
            line::send("trouble", format!("a program was ended by signal {signal}").as_bytes())
        }
        _ => Ok(()),
    }
}
