// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gets from a bare kernel to running Xen daemons: mounts, modules, xenstored, dom0's own entry,
//! the console daemon.
//!
//! The kernel's command line may name another xenstore daemon (`xenstore=oxenstored`): the kernel
//! passes options that it doesn't know to the first process as environment variables.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dom0::{LOGS, bare};

use crate::xenstore::Xenstore;

/// How long xenstored may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts everything. Returns the versions of Xen and Linux.
pub fn boot() -> Result<String> {
    bare::prepare()?;
    for folder in ["/run/xen", "/run/xenstored", "/run/lock", LOGS] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {folder}"))?;
    }
    symlink("/run", "/var/run")?;
    start_xenstored(&std::env::var("xenstore").unwrap_or("xenstored".to_owned()))?;
    let entry = Command::new("xen-init-dom0").status().context("no xen-init-dom0")?;
    ensure!(entry.success(), "xen-init-dom0 ended with {entry}");
    Command::new("xenconsoled")
        .args(["--interactive", "--log=guest", "--log-dir", LOGS])
        .spawn()
        .context("no xenconsoled")?;
    versions()
}

/// Starts xenstored and waits until it accepts a connection, the only sign that it listens.
fn start_xenstored(program: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("--no-fork");
    if program == "oxenstored" {
        command.arg("--no-access-log"); // all logs go over the serial line
    }
    let mut daemon = command.spawn().with_context(|| format!("no {program}"))?;
    let limit = Instant::now() + PATIENCE;
    while Xenstore::connect().is_err() {
        if let Some(status) = daemon.try_wait()? {
            bail!("{program} ended with {status}");
        }
        ensure!(Instant::now() < limit, "{program} does not listen");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn versions() -> Result<String> {
    let read = |path: &str| Ok::<_, anyhow::Error>(fs::read_to_string(path)?.trim().to_owned());
    let version = "/sys/hypervisor/version";
    Ok(format!(
        "xen={}.{}{} linux={}",
        read(&format!("{version}/major"))?,
        read(&format!("{version}/minor"))?,
        read(&format!("{version}/extra"))?,
        read("/proc/sys/kernel/osrelease")?
    ))
}
