// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: fetched if need be, and the machine that every boot of Xen gets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{apt, packages};
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

/// Makes QEMU present and returns the hypervisor's path: the one that was given, or Debian's.
pub fn prepare(given: Option<&Path>) -> Result<PathBuf> {
    apt::installed(QEMU, &["qemu-system-x86"])?;
    given.map_or_else(packages::xen, |xen| Ok(xen.to_owned()))
}

/// QEMU's version, as `7.2.22`.
pub fn version() -> Result<String> {
    let mut qemu = children::command(QEMU);
    qemu.arg("--version");
    let said = steps::logged("qemu-version", qemu, Duration::from_secs(20))?;
    Ok(said.split_whitespace().nth(3).unwrap_or("?").to_owned())
}

/// The machine with Xen in it; `options` are more words for Xen's command line.
///
/// One processor, unless two guests must run at the same time: with two, each a thread of QEMU's, a
/// round trip of events waits for the host to schedule both, 50 times as long on a busy machine.
pub fn machine(xen: &Path, options: &str, processors: u32) -> Command {
    let mut qemu = children::command(QEMU);
    qemu.arg("-smp").arg(processors.to_string());
    qemu.args(["-cpu", CPU]).args(MACHINE.split_whitespace());
    qemu.arg("-kernel").arg(xen).arg("-append").arg(format!("{XEN} {options}"));
    qemu
}
