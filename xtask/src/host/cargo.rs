// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cargo, called from inside cargo.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{children, paths, steps};

/// For what only builds, and may have to download crates first.
pub const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// A cargo command for the repository.
pub fn command(arguments: &[&str]) -> Command {
    let mut cargo = children::command("cargo");
    cargo.args(arguments).env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    // A caller's flags would take the place of the link flags in .cargo/config.toml.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// Where something is built that is not built here.
pub struct Place {
    /// The sources.
    pub root: PathBuf,
    /// Cargo's home, with the libraries.
    pub home: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Place {
    fn command(&self, mut command: Command) -> Command {
        command.current_dir(&self.root).env("CARGO_HOME", &self.home);
        command.env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

/// Builds for `target`, in the release profile.
pub fn release(log: &str, target: &str, which: &[&str]) -> Result<()> {
    steps::logged(log, release_command(target, which, home()), BUILD_LIMIT).map(drop)
}

/// The same elsewhere.
pub fn release_in(place: &Place, log: &str, target: &str, which: &[&str]) -> Result<()> {
    // The libraries have to be unpacked before it's known where from they are.
    let fetch = command(&["fetch", "--locked", "--target", target]);
    steps::logged(log, place.command(fetch), BUILD_LIMIT)?;
    let build = release_command(target, which, Some(place.home.clone()));
    steps::logged(log, place.command(build), BUILD_LIMIT).map(drop)
}

fn release_command(target: &str, which: &[&str], home: Option<PathBuf>) -> Command {
    let mut command = command(&["build", "--release", "--target", target]);
    command.args(which).args(["--config", &flags(target, &sources(home))]);
    command
}

/// Cargo's home.
pub fn home() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

/// The same without what .cargo/config.toml asks for only to save memory: the outliner.
pub fn release_for_speed(log: &str, target: &str, which: &[&str]) -> Result<()> {
    let config = fs::read_to_string(paths::root().join(".cargo/config.toml"))?;
    let quoted = |line: &str| Some(line.trim().strip_prefix('"')?.strip_suffix("\",")?.to_owned());
    let flags = config.lines().filter_map(quoted).filter(|flag| !flag.contains("outliner"));
    let flags: Vec<String> = flags.collect();
    let mut command = command(&["build", "--release", "--target", target]);
    command.args(which).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    steps::logged(log, command, BUILD_LIMIT).map(drop)
}

/// Where cargo keeps the sources of libraries: one folder per registry.
fn sources(home: Option<PathBuf>) -> Vec<PathBuf> {
    let registries = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    registries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Flags beside those of .cargo/config.toml: a panic in a library names its file from the library's
/// own folder on, wherever the builder keeps it.
fn flags(target: &str, sources: &[PathBuf]) -> String {
    let remap = |folder: &PathBuf| format!("--remap-path-prefix={}=", folder.join("").display());
    let flags: Vec<_> = sources.iter().map(|folder| format!("{:?}", remap(folder))).collect();
    format!("target.{target}.rustflags=[{}]", flags.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_of_sources_is_cut_off() {
        let folders = ["/a b/one", "/two"].map(PathBuf::from);
        assert_eq!(
            flags("any", &folders),
            r#"target.any.rustflags=["--remap-path-prefix=/a b/one/=", "--remap-path-prefix=/two/="]"#
        );
        assert_eq!(flags("any", &[]), "target.any.rustflags=[]");
    }
}
