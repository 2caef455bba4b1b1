//! The lab: Xen in QEMU with a Linux dom0, whose agent runs `xl` and carries the guests' consoles.
//!
//! The first serial line is Xen's and goes to a log; the second one is a socket to the agent. Every wait ends at what was
//! waited for, at its limit, or when the machine is gone. Each guest's console is kept in `target/lab/<guest>.log`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ::dom0::frame;
use anyhow::{Context, Result, bail, ensure};

use crate::children::{self, Child};
use crate::console::whole_lines;
use crate::dom0::Dom0;
use crate::judge::Reply;
use crate::{paths, qemu, steps};

/// With SMAP, QEMU 7.2 crashes a PV dom0 at its first exception.
const MACHINE: &str = "-accel tcg -cpu max,-smap -smp 2 -m 512 -nodefaults -no-reboot -display none -monitor none \
                       -serial file:../lab/xen.log -chardev socket,id=dom0,fd=0 -serial chardev:dom0";
const XEN: &str = "console=com1 com1=115200,8n1 dom0_mem=192M,max:192M dom0_max_vcpus=1 loglvl=all guest_loglvl=all";
const LINUX: &str = "console=hvc0 quiet panic=-1 mitigations=off audit=0 apparmor=0";
/// Ten times what a boot takes.
const BOOT: Duration = Duration::from_secs(90);
/// What a toolstack's command, or the answer to a simple command of the guest's shell, may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running lab; dropping it ends it.
pub struct Lab {
    qemu: Child,
    line: UnixStream,
    frames: Receiver<(String, Vec<u8>)>,
    guests: BTreeMap<String, Guest>,
    replies: BTreeMap<String, Vec<u8>>,
    programs: u32,
    log: File,
    versions: String,
    booted: usize,
}

/// What a guest said so far.
struct Guest {
    said: Vec<u8>,
    log: File,
}

impl Lab {
    /// Boots, and waits until `xl` can be used; `more` is added to Linux's command line.
    pub fn boot(dom0: &Dom0, more: &str) -> Result<Lab> {
        let xen = qemu::prepare()?;
        let log = steps::create(&paths::lab().join("dom0.log"))?;
        let (line, theirs) = UnixStream::pair()?;
        let mut command = children::command("qemu-system-x86_64");
        command.args(MACHINE.split_whitespace()).current_dir(&dom0.folder);
        command.arg("-kernel").arg(xen).args(["-append", XEN, "-initrd"]).arg(format!(
            "{} {LINUX} {} {more},{}",
            Dom0::LINUX,
            dom0.arguments,
            Dom0::INITRAMFS
        ));
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let qemu = Child::start(command)?;
        let frames = receive(line.try_clone()?);
        let mut lab = Lab {
            qemu,
            line,
            frames,
            guests: BTreeMap::new(),
            replies: BTreeMap::new(),
            programs: 0,
            log,
            versions: String::new(),
            booted: 0,
        };
        match lab.reply("ready", BOOT) {
            Ok(versions) => lab.versions = versions,
            Err(error) => bail!("dom0 did not come up: {error:#}\n{}", lab.excerpts()),
        }
        lab.booted = fs::read(paths::lab().join("xen.log")).unwrap_or_default().len();
        Ok(lab)
    }

    /// The versions of Xen and Linux.
    pub fn versions(&self) -> (&str, &str) {
        let value = |key| self.versions.split(' ').find_map(|word| word.strip_prefix(key));
        (value("xen=").unwrap_or("?"), value("linux=").unwrap_or("?"))
    }

    /// Runs `xl` in the folder with the guests' files; its output if it succeeded.
    pub fn xl(&mut self, words: &[&str]) -> Result<String> {
        self.programs += 1;
        let id = self.programs;
        let command = [&["xl"], words].concat();
        self.send(&format!("run.{id}"), command.join("\0").as_bytes())?;
        let shown = command.join(" ");
        let status = self.reply(&format!("done.{id}"), PATIENCE).context(shown.clone())?;
        let output = self.replies.remove(&format!("out.{id}")).unwrap_or_default();
        let output = String::from_utf8_lossy(&output).trim().to_owned();
        ensure!(status == "0", "`{shown}` ended with status {status}: {output}");
        Ok(output)
    }

    /// The number of the domain with this name, if there is one.
    pub fn domid(&mut self, guest: &str) -> Result<Option<u32>> {
        let channel = format!("domid.{guest}");
        self.send(&channel, b"")?;
        Ok(self.reply(&channel, PATIENCE)?.parse().ok())
    }

    /// The value of a xenstore node, as soon as there is one.
    pub fn node(&mut self, path: &str) -> Result<String> {
        let channel = format!("node.{path}");
        self.send(&channel, b"")?;
        self.reply(&channel, PATIENCE).with_context(|| format!("no {path}"))
    }

    /// What a daemon of dom0's wrote to its log.
    pub fn daemon(&self, name: &str) -> String {
        let said = self.replies.get(&format!("log.{name}"));
        String::from_utf8_lossy(said.map_or(&[], Vec::as_slice)).into_owned()
    }

    /// Types on a guest's console.
    pub fn type_on(&mut self, guest: &str, bytes: &[u8]) -> Result<()> {
        self.send(&format!("type.{guest}"), bytes)
    }

    /// Types a command at a guest's prompt, and returns from where on its answer is to be looked for.
    pub fn command(&mut self, guest: &str, command: &str) -> Result<usize> {
        let mark = self.said(guest).len();
        self.type_on(guest, format!("{command}\r").as_bytes())?;
        Ok(mark)
    }

    /// The result line that a guest wrote behind `mark`.
    pub fn answer(&mut self, guest: &str, mark: usize, limit: Duration) -> Result<String> {
        let result = |lab: &Lab| {
            let lines = whole_lines(&lab.said(guest)[mark..]);
            lines.into_iter().find(|line| Reply::parse(line).is_some())
        };
        self.until(limit, result).with_context(|| format!("no answer from {guest}"))
    }

    /// Types a command at a guest's prompt and returns its `ok` line.
    pub fn ask(&mut self, guest: &str, command: &str) -> Result<String> {
        let mark = self.command(guest, command)?;
        let line = self.answer(guest, mark, PATIENCE).with_context(|| format!("`{command}`"))?;
        ensure!(line.starts_with("ok "), "{guest} answered `{command}` with: {line}");
        Ok(line)
    }

    /// All that a guest said.
    pub fn said(&self, guest: &str) -> &[u8] {
        self.guests.get(guest).map_or(&[], |guest| &guest.said)
    }

    /// The whole lines of what a guest said.
    pub fn lines(&self, guest: &str) -> Vec<String> {
        whole_lines(self.said(guest))
    }

    /// Forgets what a guest said, for another one of its name.
    pub fn forget(&mut self, guest: &str) {
        self.guests.remove(guest);
        self.replies.remove(&format!("log.xl-{guest}"));
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
                bail!("nothing within {} s", limit.as_secs());
            }
        }
    }

    /// Takes the next frame in; false if none came until `end`.
    pub fn step(&mut self, end: Instant) -> Result<bool> {
        match self.frames.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok((channel, bytes)) => self.take(channel, bytes).map(|()| true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => {
                self.qemu.next(Instant::now() + PATIENCE)?; // says so if it was interrupted
                bail!("the machine is gone")
            }
        }
    }

    /// The end of every console, for a person; of Xen's what came after the boot.
    pub fn excerpts(&self) -> String {
        let mut shown = String::new();
        for (name, skipped) in
            self.guests.keys().map(|guest| (guest.as_str(), 0)).chain([("xen", self.booted)])
        {
            let path = paths::lab().join(format!("{name}.log"));
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(text.get(skipped..).unwrap_or_default());
            shown += &format!("{name}:\n{}\n", steps::excerpt(&text, &path));
        }
        shown.trim_end().to_owned()
    }

    fn take(&mut self, channel: String, bytes: Vec<u8>) -> Result<()> {
        if let Some(name) = channel.strip_prefix("console.") {
            if !self.guests.contains_key(name) {
                let log = steps::create(&paths::lab().join(format!("{name}.log")))?;
                self.guests.insert(name.to_owned(), Guest { said: Vec::new(), log });
            }
            if let Some(guest) = self.guests.get_mut(name) {
                guest.said.extend_from_slice(&bytes);
                guest.log.write_all(&bytes)?;
            }
            return Ok(());
        }
        writeln!(self.log, "{channel} {}", String::from_utf8_lossy(&bytes).replace('\0', " "))?;
        self.replies.entry(channel).or_default().extend(bytes);
        Ok(())
    }

    /// The reply on a channel, which is used up.
    fn reply(&mut self, channel: &str, limit: Duration) -> Result<String> {
        let bytes = self.until(limit, |lab| lab.replies.get(channel).cloned())?;
        self.replies.remove(channel);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn send(&mut self, channel: &str, bytes: &[u8]) -> Result<()> {
        let line = frame::encode(channel, bytes);
        self.log.write_all(format!("> {line}").as_bytes())?;
        self.line.write_all(line.as_bytes()).context("the machine is gone")
    }
}

/// Reads frames as they come; the channel closes with the line.
fn receive(line: UnixStream) -> Receiver<(String, Vec<u8>)> {
    let (sender, frames) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(line).split(b'\n').map_while(Result::ok) {
            if let Some((channel, bytes)) = frame::decode(&line) {
                let _ = sender.send((channel.to_owned(), bytes));
            }
        }
    });
    frames
}
