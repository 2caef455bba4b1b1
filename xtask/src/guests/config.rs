// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes all xl configurations except the three in xen-config.
//!
//! Settings go into a file, or after a file's name on xl's command line, where they override the
//! file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::image;
use crate::host::paths;
use crate::lab::Mode;

/// A guest's settings, in xl's own syntax.
#[derive(Clone, Default)]
pub struct Settings(Vec<String>);

/// The size of the pool for a PVH guest's tables in Xen, as in all configurations: by default xl
/// 4.17 gives a small guest too little.
const SHADOW_MIB: u64 = 4;

impl Settings {
    /// No settings.
    pub fn none() -> Settings {
        Settings::default()
    }

    /// The settings that a mode needs, whatever the file says.
    pub fn of(mode: Mode) -> Settings {
        match mode {
            Mode::Pv => Settings::none(),
            Mode::Pvh => Settings::none().text("type", "pvh"),
        }
    }

    /// Sets a string, escaping quotes and backslashes.
    pub fn text(mut self, key: &str, value: &str) -> Settings {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        self.0.push(format!("{key} = \"{value}\""));
        self
    }

    /// Sets a number.
    pub fn number(mut self, key: &str, value: u64) -> Settings {
        self.0.push(format!("{key} = {value}"));
        self
    }

    /// Sets the guest's memory, in MiB.
    pub fn memory(self, mib: u64) -> Settings {
        self.number("memory", mib)
    }

    /// Sets the guest's command line.
    pub fn extra(self, words: &str) -> Settings {
        self.text("extra", words)
    }

    /// Sets what xl does when the guest crashes: `destroy` or `preserve`.
    pub fn on_crash(self, action: &str) -> Settings {
        self.text("on_crash", action)
    }

    /// Adds a setting exactly as the user wrote it; xl checks it.
    pub fn raw(mut self, setting: &str) -> Settings {
        self.0.push(setting.to_owned());
        self
    }

    /// The settings as arguments for xl, one each.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn file(&self) -> String {
        self.0.iter().map(|setting| format!("{setting}\n")).collect()
    }
}

/// Builds the guest `name`, and writes `<name>.cfg` for it.
///
/// Both files are for dom0's working directory. The kernel's file is not called just `name`,
/// because a program in dom0 may be.
pub fn files(name: &str, settings: Settings) -> Result<[PathBuf; 2]> {
    files_of(name, &image::guest(name)?, settings)
}

/// Like [`files`], for a guest that is already built.
pub fn files_of(name: &str, built: &Path, settings: Settings) -> Result<[PathBuf; 2]> {
    let folder = paths::target().join("dom0");
    fs::create_dir_all(&folder)?;
    let (kernel, config) =
        (folder.join(format!("{name}-guest")), folder.join(format!("{name}.cfg")));
    fs::copy(built, &kernel).with_context(|| format!("no {}", paths::shown(built)))?;
    let own = Settings::none().text("name", name).text("type", "pv");
    let own = own.text("kernel", &format!("{name}-guest")).number("vcpus", 1);
    let own = own.number("shadow_memory", SHADOW_MIB);
    fs::write(&config, own.file() + &settings.file())?;
    Ok([kernel, config])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_its_quotes_and_backslashes() {
        let settings = Settings::none().memory(8).extra(r#"-- write 1 0 "\""#);
        assert_eq!(settings.file(), "memory = 8\nextra = \"-- write 1 0 \\\"\\\\\\\"\"\n");
        assert_eq!(settings.words().next(), Some("memory = 8"));
    }
}
