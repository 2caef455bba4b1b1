// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Linux that is not dom0: Debian's, with an initramfs of our programs, which are run by what is
//! typed on its console.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::packages;
use super::{apt::Release, debian, dom0};
use crate::guests::config::{self, Settings};
use crate::host::paths;
use crate::host::steps::step;

/// The guest, and its configuration.
pub const NAME: &str = "linux";
/// Its memory in MiB: Debian's Linux itself takes 60.
const MEMORY: u64 = 128;
/// Its options, as dom0's.
const LINUX: &str =
    "console=hvc0 quiet panic=-1 mitigations=off rodata=off cryptomgr.notests audit=0 apparmor=0";
/// The initramfs.
const RAMDISK: &str = "linux-ramdisk";

/// Puts it together with these programs, which must be linked statically, and returns its files for
/// dom0's working directory. It says `ready` at its start, and `ended <status>` after each program.
pub fn files(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let init = dom0::program("domu")?;
    step("prepare a Linux domU", || {
        let linux = debian::linux(Release::OWN)?;
        let kernel = packages::find(&linux.join("boot"), |name| name.starts_with("vmlinu"))
            .context("no boot/vmlinu* in Debian's Linux")?;
        let folder = paths::target().join("dom0");
        fs::create_dir_all(&folder)?;
        // Compressed, because dom0's memory holds it, too. xl unpacks gzip.
        let plain = folder.join("linux");
        fs::copy(&kernel, &plain).with_context(|| format!("no {}", paths::shown(&kernel)))?;
        packages::run("gzip", &["-1".as_ref(), "-f".as_ref(), plain.as_ref()], "Linux")?;
        let mut archive = Archive::default();
        archive.file("init", &dom0::read(&init)?);
        dom0::modules(&linux, &mut archive)?;
        for program in programs {
            archive.file(&format!("guests/{}", dom0::name(program)), &dom0::read(program)?);
        }
        let ramdisk = folder.join(RAMDISK);
        dom0::keep(&ramdisk, &archive.finish())?;
        let settings = Settings::none().memory(MEMORY).text("ramdisk", RAMDISK).extra(LINUX);
        let guest = config::files_of(NAME, &plain.with_extension("gz"), settings)?;
        Ok([&guest[..], &[ramdisk]].concat())
    })
}
