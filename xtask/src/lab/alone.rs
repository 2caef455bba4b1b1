// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs Xen in QEMU with one guest in dom0's place.
//!
//! There the guest needs no toolstack and no Linux, and a boot takes a second. Everything from the
//! serial line is kept in a log. Dropping the `Machine` ends QEMU. Callers judge the run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::console::Console;
use super::qemu::{self, Hardware};
use crate::host::children::{Child, Event};
use crate::host::{paths, steps};
use crate::judge::crash;

/// Xen's option that gives the guest 16 MiB.
const MEMORY: &str = "dom0_mem=16M,max:16M";

/// The parameters of one boot.
pub struct Boot<'a> {
    /// The hypervisor, unpacked.
    pub xen: &'a Path,
    /// More options for the hypervisor.
    pub options: &'a str,
    /// The guest's ELF file.
    pub kernel: &'a Path,
    /// The guest's command line.
    pub arguments: &'a str,
    /// The log's name.
    pub log: &'a str,
    /// Whether time is counted in instructions (QEMU's icount), which makes runs repeatable.
    pub exact: bool,
}

/// How a wait ended.
pub enum End {
    /// The awaited output was seen; the machine still runs.
    Seen,
    /// QEMU ended by itself.
    Exited(ExitStatus),
    /// Neither came in time; the machine still runs.
    TimedOut,
}

impl End {
    /// Checks that the guest ended the machine by poweroff or reboot, after a wait for a crash.
    pub fn by_itself(&self) -> Result<(), String> {
        match self {
            End::Exited(status) if status.success() => Ok(()),
            End::Exited(status) => Err(format!("QEMU ended with {status}")),
            End::Seen => Err("the guest crashed".into()),
            End::TimedOut => Err("it did not end in time".into()),
        }
    }
}

/// A booted machine; dropping it ends it.
pub struct Machine {
    child: Child,
    console: Console,
    log: File,
    log_path: PathBuf,
}

impl Machine {
    /// Boots without console input.
    pub fn boot(boot: &Boot) -> Result<Machine> {
        Machine::start(boot, &[], Stdio::null(), Child::start)
    }

    /// The same with a plugin of QEMU's, by its file and its arguments.
    pub fn boot_with(boot: &Boot, plugin: &str) -> Result<Machine> {
        Machine::start(boot, &["-plugin", plugin], Stdio::null(), Child::start)
    }

    /// Boots with the tool's own input as console input.
    pub fn boot_in_foreground(boot: &Boot) -> Result<Machine> {
        Machine::start(boot, &[], Stdio::inherit(), Child::start_in_foreground)
    }

    fn start(
        boot: &Boot,
        more: &[&str],
        input: Stdio,
        spawn: impl FnOnce(std::process::Command) -> Result<Child>,
    ) -> Result<Machine> {
        let log_path = paths::lab().join(format!("{}.log", boot.log));
        let log = steps::create(&log_path)?;
        let mut qemu =
            qemu::machine(&Hardware::default(), boot.xen, &format!("{MEMORY} {}", boot.options));
        qemu.args(["-serial", "stdio"]).args(more).stdin(input);
        if boot.exact {
            qemu.args(["-icount", qemu::ICOUNT]);
        }
        // QEMU ends a module's name at the first blank, so the folder, which may contain one, is
        // left out.
        qemu.arg("-initrd")
            .arg(module(boot))
            .current_dir(boot.kernel.parent().unwrap_or(paths::root()));
        Ok(Machine { child: spawn(qemu)?, console: Console::default(), log, log_path })
    }

    /// Runs until the guest has crashed, QEMU ends or the time is up. Returns at once after a
    /// crash, when Xen would wait for five seconds before it reboots.
    pub fn run_to_end(&mut self, limit: Duration) -> Result<End> {
        self.run(limit, |console| crash::crashed(&console.xen()), |_| ())
    }

    /// Runs until `seen` returns true, QEMU ends or the time is up; passes the guest's output to
    /// `show` as it comes.
    pub fn run(
        &mut self,
        limit: Duration,
        seen: impl Fn(&Console) -> bool,
        mut show: impl FnMut(&[u8]),
    ) -> Result<End> {
        let until = Instant::now() + limit;
        loop {
            match self.child.next(until)? {
                Event::Output(bytes) => {
                    let path = paths::shown(&self.log_path);
                    self.log.write_all(&bytes).with_context(|| format!("cannot write {path}"))?;
                    show(self.console.feed(&bytes));
                    if seen(&self.console) {
                        return Ok(End::Seen);
                    }
                }
                Event::Exited(status) => return Ok(End::Exited(status)),
                Event::TimedOut => return Ok(End::TimedOut),
            }
        }
    }

    /// The output so far.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The end of the log, for display.
    pub fn excerpt(&self) -> String {
        let text = std::fs::read(&self.log_path).unwrap_or_default();
        steps::excerpt(&String::from_utf8_lossy(&text), &self.log_path)
    }
}

/// The module as QEMU's option takes it: file and arguments, with commas doubled, since a single
/// one would start the next module.
fn module(boot: &Boot) -> String {
    let file = boot.kernel.file_name().unwrap_or_default().to_string_lossy();
    format!("{file} {}", boot.arguments).replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_are_doubled_and_folders_left_out() {
        let path = Path::new("/a b/grantkit");
        let arguments = "-- map 0 8,9";
        let boot = Boot { xen: path, options: "", kernel: path, arguments, log: "x", exact: false };
        assert_eq!(module(&boot), "grantkit -- map 0 8,,9");
    }
}
