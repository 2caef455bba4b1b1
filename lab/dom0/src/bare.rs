// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the first process of a Linux needs before it can run programs that use Xen's devices.

use std::fs::{self, File};

use anyhow::{Context, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};

/// File system type and mount point.
const MOUNTS: [(&str, &str); 5] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/run"),
];
/// In the order of loading.
const MODULES: [&str; 5] = ["xen-privcmd", "xen-evtchn", "xen-gntalloc", "xen-gntdev", "xenfs"];

/// Mounts the usual file systems, and loads the modules of Xen's devices from `/modules`.
///
/// # Errors
/// Linux's, with the name of what it concerns.
pub fn prepare() -> Result<()> {
    for (kind, place) in MOUNTS {
        mount_at(kind, place)?;
    }
    for name in MODULES {
        let file = File::open(format!("/modules/{name}.ko"))
            .with_context(|| format!("no module {name}"))?;
        finit_module(&file, c"", ModuleInitFlags::empty())
            .with_context(|| format!("cannot load {name}"))?;
    }
    mount_at("xenfs", "/proc/xen")
}

fn mount_at(kind: &str, place: &str) -> Result<()> {
    fs::create_dir_all(place)?;
    mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount {place}"))
}
