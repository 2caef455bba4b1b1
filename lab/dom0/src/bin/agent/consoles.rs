// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guests' consoles: output is read from the console daemon's logs, input is written to their
//! terminals.
//!
//! The logs have every byte that a guest writes, however soon it ends; its terminal doesn't.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use dom0::{LOGS, MUTE};
use nix::fcntl::OFlag;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::line;
use crate::xenstore::Xenstore;

/// The logs, watched for changes.
pub struct Logs(Inotify);

impl Logs {
    pub fn watch() -> Result<Logs> {
        let changes = Inotify::init(InitFlags::IN_CLOEXEC)?;
        changes.add_watch(LOGS, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MODIFY)?;
        Ok(Logs(changes))
    }

    /// Sends everything that is written to the logs, as it arrives.
    pub fn follow(self) -> Result<()> {
        let mut logs = HashMap::new();
        loop {
            for event in self.0.read_events()? {
                let Some(name) = event.name else { continue };
                let name = name.to_string_lossy().into_owned();
                let Some(channel) = channel(&name) else { continue };
                if event.mask.contains(AddWatchFlags::IN_CREATE) {
                    logs.remove(&name); // xl has renamed its old log
                }
                let log = match logs.entry(name.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(File::open(Path::new(LOGS).join(&name))?),
                };
                let mut bytes = Vec::new();
                log.read_to_end(&mut bytes)?;
                if !bytes.is_empty() {
                    line::send(&channel, &bytes)?;
                }
            }
        }
    }
}

/// Returns the channel for a log file: `guest-a.log` is guest a's console, others are daemons'
/// logs. `None` for a console that stays in dom0.
fn channel(file: &str) -> Option<String> {
    let name = file.strip_suffix(".log").unwrap_or(file);
    match name.strip_prefix("guest-") {
        Some(guest) if guest.starts_with(MUTE) => None,
        Some(guest) => Some(format!("console.{guest}")),
        None => Some(format!("log.{name}")),
    }
}

/// Types on a guest's console, as soon as there is one.
pub fn type_on(guest: &str, bytes: &[u8]) -> Result<()> {
    let mut store = Xenstore::connect()?;
    let domid = store.domid(guest)?.with_context(|| format!("there is no guest {guest}"))?;
    let terminal = store.wait(&format!("/local/domain/{domid}/console/tty"))?;
    let terminal =
        OpenOptions::new().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(terminal);
    terminal?.write_all(bytes)?;
    Ok(())
}
