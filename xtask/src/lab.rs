//! The lab: Xen in QEMU with a Linux dom0, whose agent runs `xl` and carries the guests' consoles.
//!
//! The first serial line is Xen's and goes to a log; the second one is a socket to the agent. Every wait ends at what was
//! waited for, at its limit, or when the machine is gone. Each guest's console is kept in `target/lab/<lab>/<guest>.log`.

mod guests; // what xl does to guests, and what is said at their prompts

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ::dom0::frame;
use anyhow::{Context, Result, bail};

use crate::children::{self, Child};
use crate::dom0::Dom0;
use crate::{paths, steps};

/// With SMAP, QEMU 7.2 crashes a PV dom0 at its first exception.
const MACHINE: &str = "-accel tcg -cpu max,-smap -smp 2 -m 512 -nodefaults -no-reboot -display none -monitor none \
                       -chardev socket,id=dom0,fd=0";
const XEN: &str = "console=com1 com1=115200,8n1 dom0_mem=192M,max:192M dom0_max_vcpus=1 loglvl=all guest_loglvl=all";
/// Quick rather than safe: nothing in there is to be protected.
const LINUX: &str =
    "console=hvc0 quiet panic=-1 mitigations=off rodata=off cryptomgr.notests audit=0 apparmor=0";
/// Ten times what a boot takes.
const BOOT: Duration = Duration::from_secs(90);
/// What a toolstack's command, or the answer to a simple command of the guest's shell, may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Channel and bytes.
type Frame = (String, Vec<u8>);
/// Not from dom0: the line is closed, and what came in on this program's input.
const GONE: &str = "gone";
const INPUT: &str = "input";
const INPUT_ENDED: &str = "input-ended";

/// A running lab; dropping it ends it.
pub struct Lab {
    qemu: Child,
    line: UnixStream,
    frames: Receiver<Frame>,
    sender: Sender<Frame>,
    logs: PathBuf,
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
    /// Boots, and waits until `xl` can be used. Logs go to `target/lab/<name>`; `more` is added to Linux's command line.
    pub fn boot(dom0: &Dom0, name: &str, more: &str) -> Result<Lab> {
        let logs = paths::lab().join(name);
        let _ = fs::remove_dir_all(&logs);
        let log = steps::create(&logs.join("dom0.log"))?;
        let (line, theirs) = UnixStream::pair()?;
        let mut command = children::command("qemu-system-x86_64");
        command.args(MACHINE.split_whitespace()).current_dir(paths::target());
        command.args(["-serial", &format!("file:lab/{name}/xen.log"), "-serial", "chardev:dom0"]);
        command.arg("-kernel").arg(&dom0.xen).args(["-append", XEN, "-initrd"]).arg(format!(
            "{} {LINUX} {} {more},{}",
            dom0.linux.display(),
            dom0.arguments,
            dom0.initramfs.display()
        ));
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let qemu = Child::start(command)?;
        let (sender, frames) = mpsc::channel();
        receive(line.try_clone()?, sender.clone());
        let mut lab = Lab {
            qemu,
            line,
            frames,
            sender,
            logs,
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
        lab.booted = fs::read(lab.logs.join("xen.log")).unwrap_or_default().len();
        Ok(lab)
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
            Err(_) => Ok(false),
        }
    }

    /// From now on, what comes in on this program's input counts as a frame.
    pub fn listen_to_input(&self) {
        let sender = self.sender.clone();
        thread::spawn(move || {
            let (mut input, mut buffer) = (std::io::stdin(), [0; 1024]);
            while let Ok(n @ 1..) = input.read(&mut buffer) {
                let _ = sender.send((INPUT.to_owned(), buffer[..n].to_vec()));
            }
            let _ = sender.send((INPUT_ENDED.to_owned(), Vec::new()));
        });
    }

    /// What came in since.
    pub fn input(&mut self) -> Option<Vec<u8>> {
        self.replies.remove(INPUT)
    }

    /// Did all come in that ever will?
    pub fn input_ended(&self) -> bool {
        self.replies.contains_key(INPUT_ENDED)
    }

    /// The end of every console, for a person; of Xen's what came after the boot.
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

    fn take(&mut self, channel: String, bytes: Vec<u8>) -> Result<()> {
        if channel == GONE {
            self.qemu.next(Instant::now() + PATIENCE)?; // says so if it was interrupted
            bail!("the machine is gone");
        }
        if let Some(name) = channel.strip_prefix("console.") {
            if !self.guests.contains_key(name) {
                let log = steps::create(&self.logs.join(format!("{name}.log")))?;
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

/// Reads frames as they come, until the line is closed.
fn receive(line: UnixStream, sender: Sender<Frame>) {
    thread::spawn(move || {
        for line in BufReader::new(line).split(b'\n').map_while(Result::ok) {
            if let Some((channel, bytes)) = frame::decode(&line) {
                let _ = sender.send((channel.to_owned(), bytes));
            }
        }
        let _ = sender.send((GONE.to_owned(), Vec::new()));
    });
}
