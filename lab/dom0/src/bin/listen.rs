// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listens to a guest that runs lab/trials/src/bin/talk.rs: `listen <guest> <lines>`. All lines
//! must arrive, whole and in order.
//!
//! It reads the console daemon's log, which has every byte that the guest writes, and ends with the
//! last line, or with the first that is wrong.

use std::fs::{self, File};
use std::io::Read;

use anyhow::{Context, Result, ensure};
use dom0::LOGS;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let guest = words.next().context("no guest")?;
    let lines: usize = words.next().context("no lines")?.parse()?;
    let changes = Inotify::init(InitFlags::empty())?;
    changes.add_watch(LOGS, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY)?;
    let path = format!("{LOGS}/guest-{guest}.log");
    // An earlier guest of the same name may have left a log.
    if fs::exists(&path)? {
        fs::remove_file(&path)?;
    }
    println!("listen: ready");
    let mut log = loop {
        match File::open(&path) {
            Ok(log) => break log,
            Err(_) => drop(changes.read_events()?),
        }
    };
    let (mut said, mut heard, mut bytes) = (Vec::new(), 0, 0);
    while heard < lines {
        let read = log.read_to_end(&mut said)?;
        if read == 0 {
            changes.read_events()?;
        }
        bytes += read;
        let mut rest = said.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]);
            let line = line.trim_end_matches('\r');
            // The kernel may print something before the guest does.
            if heard > 0 || line.starts_with("0000000000 ") {
                ensure!(line == expected(heard), "line {heard} is `{line}`");
                heard += 1;
            }
            rest = &rest[end + 1..];
        }
        said = rest.to_vec();
    }
    println!("ok listen lines={heard} bytes={bytes}");
    Ok(())
}

/// Returns line `number`, as the guest prints it.
fn expected(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    format!("{number:010} {}", letter.to_string().repeat(52))
}
