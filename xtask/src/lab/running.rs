// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs Xen in QEMU with a Linux dom0, whose agent runs `xl` and carries the guests' consoles.
//!
//! The first serial line is Xen's and goes to a log; the second is a socket to the agent. Every
//! wait ends with what it waits for, at its limit, or when the machine is gone. All logs are kept
//! in `target/lab/<lab>`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Mode;
use super::dom0::Dom0;
use super::line::{Incoming, Line};
use super::qemu::{self, Hardware};
use crate::host::children::Child;
use crate::host::{paths, steps};

/// QEMU's options for the line to the agent.
const LINE: [&str; 4] = ["-chardev", "socket,id=dom0,fd=0", "-serial", "chardev:dom0"];
const XEN: &str = "dom0_mem=192M,max:192M";
/// Linux's options: fast rather than safe, since nothing in there needs protection.
const LINUX: &str =
    "console=hvc0 quiet panic=-1 mitigations=off rodata=off cryptomgr.notests audit=0 apparmor=0";
/// Ten times what a boot takes.
const BOOT: Duration = Duration::from_secs(90);
/// How long a toolstack command, or the answer to a simple command of the guest's shell, may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running lab; dropping it ends it.
pub struct Lab {
    qemu: Child,
    line: Line,
    logs: PathBuf,
    guests: BTreeMap<String, Guest>,
    replies: BTreeMap<String, Vec<u8>>,
    programs: u32,
    input: Option<Vec<u8>>,
    input_ended: bool,
    versions: String,
    booted: usize,
    mode: Mode,
    own: bool,
}

/// A guest's output so far, and its log.
struct Guest {
    said: Vec<u8>,
    log: File,
}

impl Lab {
    /// Boots the lab `name`, and waits until `xl` can be used; `more` is added to Linux's command
    /// line.
    pub fn boot(dom0: &Dom0, name: &str, more: &str) -> Result<Lab> {
        Lab::boot_on(&Hardware::default(), "", dom0, name, more)
    }

    /// Like [`Lab::boot`], on other hardware, of whose processors dom0 has one, and with more
    /// options for Xen.
    pub fn boot_on(
        hardware: &Hardware,
        options: &str,
        dom0: &Dom0,
        name: &str,
        more: &str,
    ) -> Result<Lab> {
        let command = qemu::machine(hardware, &dom0.xen, &format!("{XEN} {options}"));
        Lab::boot_machine(command, dom0, name, more)
    }

    /// Like [`Lab::boot`], on one processor whose time stamp counter counts instructions, with a
    /// plugin of QEMU's.
    pub fn boot_counted(dom0: &Dom0, name: &str, plugin: &str) -> Result<Lab> {
        let mut command = qemu::machine(&Hardware::default(), &dom0.xen, XEN);
        command.args(["-icount", qemu::ICOUNT, "-plugin", plugin]);
        Lab::boot_machine(command, dom0, name, "")
    }

    fn boot_machine(mut command: Command, dom0: &Dom0, name: &str, more: &str) -> Result<Lab> {
        let logs = paths::lab().join(name);
        let _ = fs::remove_dir_all(&logs);
        let (line, theirs) = Line::open(&logs.join("dom0.log"))?;
        command.current_dir(paths::target()).stdin(Stdio::from(OwnedFd::from(theirs)));
        command.arg("-serial").arg(format!("file:lab/{name}/xen.log")).args(LINE);
        command.arg("-initrd").arg(format!(
            "{} {LINUX} {} {more},{}",
            dom0.linux.display(),
            dom0.arguments,
            dom0.initramfs.display()
        ));
        let qemu = Child::start(command)?;
        let mut lab = Lab {
            qemu,
            line,
            logs,
            guests: BTreeMap::new(),
            replies: BTreeMap::new(),
            programs: 0,
            input: None,
            input_ended: false,
            versions: String::new(),
            booted: 0,
            mode: dom0.mode,
            own: dom0.own,
        };
        match lab.reply("ready", BOOT) {
            Ok(versions) => lab.versions = versions,
            Err(error) => bail!("dom0 did not come up: {error:#}\n{}", lab.excerpts()),
        }
        lab.booted = fs::read(lab.logs.join("xen.log")).unwrap_or_default().len();
        Ok(lab)
    }

    /// The folder of its logs.
    pub fn folder(&self) -> &Path {
        &self.logs
    }

    /// Waits until `seen` finds what it looks for.
    pub fn until<T>(
        &mut self,
        limit: Duration,
        mut seen: impl FnMut(&Lab) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + limit;
        loop {
            if let Some(found) = seen(self) {
                return Ok(found);
            }
            if !self.step(end)? {
                bail!("timed out after {} s", limit.as_secs());
            }
            if let Some(trouble) = self.trouble() {
                bail!("dom0: {trouble}");
            }
        }
    }

    /// Handles the next thing that comes in; false if nothing came by `end`.
    pub fn step(&mut self, end: Instant) -> Result<bool> {
        match self.line.next(end)? {
            None => return Ok(false),
            Some(Incoming::Frame(channel, bytes)) => self.take(channel, &bytes)?,
            Some(Incoming::Input(bytes)) if bytes.is_empty() => self.input_ended = true,
            Some(Incoming::Input(bytes)) => self.input.get_or_insert_default().extend(bytes),
            Some(Incoming::Gone) => {
                self.qemu.next(Instant::now() + PATIENCE)?; // fails if it was interrupted
                bail!("the machine is gone");
            }
        }
        Ok(true)
    }

    /// Takes in this program's input, too, from now on.
    pub fn listen_to_input(&self) {
        self.line.listen_to_input();
    }

    /// Takes what has come in on this program's input since the last call.
    pub fn input(&mut self) -> Option<Vec<u8>> {
        self.input.take()
    }

    /// Whether this program's input has ended.
    pub fn input_ended(&self) -> bool {
        self.input_ended
    }

    /// Takes what dom0 has failed to do since the last call.
    pub fn trouble(&mut self) -> Option<String> {
        let trouble = self.replies.remove("trouble")?;
        Some(String::from_utf8_lossy(&trouble).into_owned())
    }

    /// Waits for trouble that is known to come, and forgets it.
    pub fn expect_trouble(&mut self, limit: Duration) {
        let _ = self.until(limit, |lab| lab.replies.contains_key("trouble").then_some(()));
        let _ = self.trouble();
    }

    /// The end of every console's log, for display; of Xen's only what came after the boot.
    pub fn excerpts(&self) -> String {
        let mut shown = String::new();
        for (name, skipped) in
            self.guests.keys().map(|guest| (guest.as_str(), 0)).chain([("xen", self.booted)])
        {
            let path = self.logs.join(format!("{name}.log"));
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(text.get(skipped..).unwrap_or_default());
            shown += &format!("{name}:\n{}\n", steps::excerpt(&text, &path));
        }
        shown.trim_end().to_owned()
    }

    /// All that Xen wrote to its log so far.
    pub fn xen_log(&self) -> Result<Vec<u8>> {
        fs::read(self.logs.join("xen.log")).context("no Xen log")
    }

    fn take(&mut self, channel: String, bytes: &[u8]) -> Result<()> {
        let Some(name) = channel.strip_prefix("console.") else {
            self.replies.entry(channel).or_default().extend(bytes);
            return Ok(());
        };
        if !self.guests.contains_key(name) {
            let log = steps::create(&self.logs.join(format!("{name}.log")))?;
            self.guests.insert(name.to_owned(), Guest { said: Vec::new(), log });
        }
        if let Some(guest) = self.guests.get_mut(name) {
            guest.said.extend_from_slice(bytes);
            guest.log.write_all(bytes)?;
        }
        Ok(())
    }

    /// The versions of Xen and Linux.
    pub fn versions(&self) -> (&str, &str) {
        let value = |key| self.versions.split(' ').find_map(|word| word.strip_prefix(key));
        (value("xen=").unwrap_or("?"), value("linux=").unwrap_or("?"))
    }

    /// How the guests run.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether dom0 has this machine's libraries in a folder of their own.
    pub(super) fn has_own_libraries(&self) -> bool {
        self.own
    }

    /// Sets how guests run from now on.
    pub fn run_as(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// All output of a guest.
    pub fn said(&self, guest: &str) -> &[u8] {
        self.guests.get(guest).map_or(&[], |guest| &guest.said)
    }

    /// Forgets the output of a guest and its toolstack, before another guest of that name.
    pub fn forget(&mut self, guest: &str) {
        if let Some(guest) = self.guests.get_mut(guest) {
            guest.said.clear();
        }
        self.replies.remove(&format!("log.xl-{guest}"));
    }

    /// Returns a number for a new program.
    pub(super) fn new_program(&mut self) -> u32 {
        self.programs += 1;
        self.programs
    }

    /// Sends the agent something on a channel.
    pub(super) fn send(&mut self, channel: &str, bytes: &[u8]) -> Result<()> {
        self.line.send(channel, bytes)
    }

    /// What has come in on a channel so far.
    pub(super) fn heard(&self, channel: &str) -> &[u8] {
        self.replies.get(channel).map_or(&[], Vec::as_slice)
    }

    /// Waits for the reply on a channel, and removes it.
    pub(super) fn reply(&mut self, channel: &str, limit: Duration) -> Result<String> {
        let bytes = self.until(limit, |lab| lab.replies.get(channel).cloned())?;
        self.replies.remove(channel);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
