// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU, installed if need be, and the machine that every boot of Xen gets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::apt::{self, Release};
use super::debian;
use crate::host::{children, steps};

const QEMU: &str = "qemu-system-x86_64";
/// The processor model. With SMAP, QEMU 7.2 crashes a PV dom0 at its first exception.
pub const CPU: &str = "max,-smap";
/// icount options: one instruction is one tick of the time stamp counter, whatever the host does.
pub const ICOUNT: &str = "shift=0,sleep=off";
const MACHINE: &str = "-accel tcg -m 512 -nodefaults -no-reboot -display none \
                       -monitor none";
/// Xen's options: its console, and one processor for dom0. Xen logs everything, about guests too,
/// without a rate limit, and its buffer holds it all until the serial line has taken it.
const XEN: &str = "console=com1 com1=115200,8n1 dom0_max_vcpus=1 \
                   loglvl=all guest_loglvl=all/all serial_tx_buffer=1M";

/// The hardware of a machine.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The folder of an unpacked QEMU; `None` for this machine's.
    pub qemu: Option<PathBuf>,
    /// The processor, as QEMU names it.
    pub cpu: &'static str,
    /// The number of processors.
    ///
    /// One, unless two guests must run at the same time: with two, each a thread of QEMU, a round
    /// trip of events waits for the host to schedule both, and takes 50 times as long on a busy
    /// machine.
    pub processors: u32,
}

impl Default for Hardware {
    fn default() -> Hardware {
        Hardware { qemu: None, cpu: CPU, processors: 1 }
    }
}

impl Hardware {
    /// The command that starts QEMU. One from another release runs under that release's dynamic
    /// loader, and must be told where its files are.
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

    /// QEMU's version, such as `7.2.22`.
    pub fn version(&self) -> Result<String> {
        let mut qemu = self.emulator();
        qemu.arg("--version");
        let said = steps::logged("qemu-version", qemu, Duration::from_secs(20))?;
        Ok(said.split_whitespace().nth(3).unwrap_or("?").to_owned())
    }
}

/// Installs QEMU if need be, and returns the path of the hypervisor: the given one, or Debian's.
pub fn prepare(given: Option<&Path>) -> Result<PathBuf> {
    present()?;
    given.map_or_else(|| debian::xen(Release::OWN), |xen| Ok(xen.to_owned()))
}

/// Installs QEMU if need be.
pub fn present() -> Result<()> {
    apt::installed(QEMU, &["qemu-system-x86"])
}

/// The version of this machine's QEMU.
pub fn version() -> Result<String> {
    Hardware::default().version()
}

/// The command for a machine that boots Xen; `options` are added to Xen's command line.
pub fn machine(hardware: &Hardware, xen: &Path, options: &str) -> Command {
    let mut qemu = hardware.emulator();
    qemu.arg("-smp").arg(hardware.processors.to_string());
    qemu.args(["-cpu", hardware.cpu]).args(MACHINE.split_whitespace());
    qemu.arg("-kernel").arg(xen).arg("-append").arg(format!("{XEN} {options}"));
    qemu
}
