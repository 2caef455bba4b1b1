//! QEMU: fetched if need be, and the machine that every boot of Xen gets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{apt, packages};
use crate::host::{children, steps};

const QEMU: &str = "qemu-system-x86_64";
/// With SMAP, QEMU 7.2 crashes a PV dom0 at its first exception. One processor: with two, each a
/// thread of QEMU's, a round trip of events waits for the host to schedule both, 50 times as long
/// on a busy machine.
const MACHINE: &str = "-accel tcg -cpu max,-smap -smp 1 -m 512 \
                       -nodefaults -no-reboot -display none -monitor none";
/// Xen's console, and dom0's one processor.
const XEN: &str = "console=com1 com1=115200,8n1 dom0_max_vcpus=1";

/// Makes QEMU present and returns the hypervisor's path.
pub fn prepare() -> Result<PathBuf> {
    apt::installed(QEMU, &["qemu-system-x86"])?;
    packages::xen()
}

/// QEMU's version, as `7.2.22`.
pub fn version() -> Result<String> {
    let mut qemu = children::command(QEMU);
    qemu.arg("--version");
    let said = steps::logged("qemu-version", qemu, Duration::from_secs(20))?;
    Ok(said.split_whitespace().nth(3).unwrap_or("?").to_owned())
}

/// The machine with Xen in it; `options` are more words for Xen's command line.
pub fn machine(xen: &Path, options: &str) -> Command {
    let mut qemu = children::command(QEMU);
    qemu.args(MACHINE.split_whitespace());
    qemu.arg("-kernel").arg(xen).arg("-append").arg(format!("{XEN} {options}"));
    qemu
}
