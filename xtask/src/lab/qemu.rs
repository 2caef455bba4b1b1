// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: fetched if need be, and the machine that every boot of Xen gets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::apt::{self, Release};
use super::debian;
use crate::host::{children, steps};

const QEMU: &str = "qemu-system-x86_64";
/// The processor. With SMAP, QEMU 7.2 crashes a PV dom0 at its first exception.
pub const CPU: &str = "max,-smap";
/// One instruction is one tick of the time stamp counter, whatever the host does meanwhile.
pub const ICOUNT: &str = "shift=0,sleep=off";
const MACHINE: &str = "-accel tcg -m 512 -nodefaults -no-reboot -display none \
                       -monitor none";
/// Xen's console, and dom0's one processor. Xen says all that it has to say, of guests too, without
/// a limit of its rate, and has room for all of it until the line has taken it.
const XEN: &str = "console=com1 com1=115200,8n1 dom0_max_vcpus=1 \
                   loglvl=all guest_loglvl=all/all serial_tx_buffer=1M";

/// What a machine is made of.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The folder of an unpacked QEMU, if it's not to be this machine's.
    pub qemu: Option<PathBuf>,
    /// The processor, as QEMU names it.
    pub cpu: &'static str,
    /// How many of them.
    ///
    /// One, unless two guests must run at the same time: with two, each a thread of QEMU's, a round
    /// trip of events waits for the host to schedule both, 50 times as long on a busy machine.
    pub processors: u32,
}

impl Default for Hardware {
    fn default() -> Hardware {
        Hardware { qemu: None, cpu: CPU, processors: 1 }
    }
}

impl Hardware {
    /// QEMU itself. One from another release runs under that release's dynamic loader, and must be
    /// told where its own things are.
    fn emulator(&self) -> Command {
        let Some(root) = &self.qemu else { return children::command(QEMU) };
        let libraries = root.join("usr/lib/x86_64-linux-gnu");
        let loader = libraries.join("ld-linux-x86-64.so.2");
        let mut qemu = children::command(&loader.to_string_lossy());
        qemu.arg("--library-path").arg(&libraries).arg(root.join("usr/bin").join(QEMU));
        qemu.env("QEMU_MODULE_DIR", libraries.join("qemu"));
        for firmware in ["qemu", "seabios"] {
            qemu.arg("-L").arg(root.join("usr/share").join(firmware));
        }
        qemu
    }

    /// QEMU's version, as `7.2.22`.
    pub fn version(&self) -> Result<String> {
        let mut qemu = self.emulator();
        qemu.arg("--version");
        let said = steps::logged("qemu-version", qemu, Duration::from_secs(20))?;
        Ok(said.split_whitespace().nth(3).unwrap_or("?").to_owned())
    }
}

/// Makes QEMU present and returns the hypervisor's path: the one that was given, or Debian's.
pub fn prepare(given: Option<&Path>) -> Result<PathBuf> {
    present()?;
    given.map_or_else(|| debian::xen(Release::OWN), |xen| Ok(xen.to_owned()))
}

/// Makes QEMU present.
pub fn present() -> Result<()> {
    apt::installed(QEMU, &["qemu-system-x86"])
}

/// The version of this machine's QEMU.
pub fn version() -> Result<String> {
    Hardware::default().version()
}

/// The machine with Xen in it; `options` are more words for Xen's command line.
pub fn machine(hardware: &Hardware, xen: &Path, options: &str) -> Command {
    let mut qemu = hardware.emulator();
    qemu.arg("-smp").arg(hardware.processors.to_string());
    qemu.args(["-cpu", hardware.cpu]).args(MACHINE.split_whitespace());
    qemu.arg("-kernel").arg(xen).arg("-append").arg(format!("{XEN} {options}"));
    qemu
}
