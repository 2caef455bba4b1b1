// SPDX-License-Identifier: MIT OR Apache-2.0
//! `lab/trace`, a plugin of QEMU's: where a guest's marks are, and what the plugin writes down.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::host::{cargo, paths};
use crate::panics::elf::Image;

/// The target of this program and of the plugin.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// How the name of `trials::bench::clock::ticks` ends in rustc's v0 scheme.
const TICKS: &str = "5clock5ticks";

/// The built plugin, and a guest's marks.
pub struct Plugin {
    file: PathBuf,
    /// Where the guest begins.
    pub entry: u64,
    /// Where it reads its clock.
    ticks: u64,
    /// The end of its code.
    end: u64,
}

impl Plugin {
    /// Builds the plugin for a guest.
    pub fn build(kernel: &Path) -> Result<Plugin> {
        cargo::release("build-trace", HOST, &["-p", "trace"])?;
        let file = paths::target().join(HOST).join("release/libtrace.so");
        let image = Image::read(kernel)?;
        let at = |is: &dyn Fn(&str) -> bool, what: &str| {
            let found = image.functions.iter().find(|(_, of)| is(&of.name));
            found.map(|(at, _)| *at).with_context(|| format!("the guest has no function `{what}`"))
        };
        let code = image.sections.iter().filter(|section| section.code);
        let end = code.map(|section| section.start + section.bytes.len() as u64).max();
        Ok(Plugin {
            file,
            entry: at(&|name| name == "_start", "_start")?,
            ticks: at(&|name| name.ends_with(TICKS), "ticks")?,
            end: end.context("the guest has no code")?,
        })
    }

    /// QEMU's option to count instructions up to each boot and each reading of the clock.
    pub fn counts(&self, to: &Path) -> String {
        let Plugin { entry, ticks, end, .. } = self;
        // The image's code begins at the entry, but for what stands before it in the same page.
        let start = entry & !0xfff;
        let marks = format!("marks={entry:x}+{ticks:x},from={entry:x},start={start:x},end={end:x}");
        self.option(&marks, to)
    }

    /// QEMU's option to record what runs between two marks, counted from 0, of all boots and
    /// readings.
    pub fn records(&self, [first, last]: [u64; 2], to: &Path) -> String {
        let Plugin { entry, ticks, .. } = self;
        self.option(&format!("marks={entry:x}+{ticks:x},first={first},last={last}"), to)
    }

    /// A file left by an earlier run must not pass for this one's.
    fn option(&self, what: &str, to: &Path) -> String {
        let _ = fs::remove_file(to);
        format!("file={},{what},to={}", self.file.display(), to.display())
    }
}

/// Where the plugin's file goes.
pub fn file(name: &str) -> Result<PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}
