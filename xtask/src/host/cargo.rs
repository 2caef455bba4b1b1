// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cargo, called from inside cargo.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{children, paths, steps};

/// How long a build may take, including the download of crates.
pub const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// A cargo command for the repository.
pub fn command(arguments: &[&str]) -> Command {
    let mut cargo = children::command("cargo");
    cargo.args(arguments).env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    // The caller's flags would replace the link flags in .cargo/config.toml.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// A place for a build outside the repository.
pub struct Place {
    /// The sources.
    pub root: PathBuf,
    /// Cargo's home, which holds the sources of dependencies.
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

/// Builds like [`release`], but in another place.
pub fn release_in(place: &Place, log: &str, target: &str, which: &[&str]) -> Result<()> {
    // Dependencies have to be unpacked before the paths of their sources are known.
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

/// Builds like [`release`], without the flags of LLVM, which .cargo/config.toml sets only to save
/// memory.
pub fn release_for_speed(log: &str, target: &str, which: &[&str]) -> Result<()> {
    let config = fs::read_to_string(paths::root().join(".cargo/config.toml"))?;
    let quoted = |line: &str| Some(line.trim().strip_prefix('"')?.strip_suffix("\",")?.to_owned());
    let flags = config.lines().filter_map(quoted).filter(|flag| !flag.contains("llvm-args"));
    let flags: Vec<String> = flags.collect();
    let mut command = command(&["build", "--release", "--target", target]);
    command.args(which).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    steps::logged(log, command, BUILD_LIMIT).map(drop)
}

/// Removes the sources that earlier runs of `cargo package` unpacked in cargo's home. Cargo would
/// reuse them for crates of the same version, although their code has changed.
pub fn forget_packages() -> Result<()> {
    for folder in sources(home()).iter().filter(|folder| is_of_packages(folder)) {
        fs::remove_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    Ok(())
}

/// Whether a folder of sources belongs to the temporary registry of `cargo package`: a registry
/// with a host has the host's name before the dash.
fn is_of_packages(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"-"))
}

/// Where cargo keeps the sources of dependencies: one folder per registry.
fn sources(home: Option<PathBuf>) -> Vec<PathBuf> {
    let registries = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    registries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Flags in addition to those in .cargo/config.toml: panics in dependencies name files relative to
/// the registry's folder, wherever the builder keeps that.
fn flags(target: &str, sources: &[PathBuf]) -> String {
    let remap = |folder: &PathBuf| format!("--remap-path-prefix={}=", folder.join("").display());
    let flags: Vec<_> = sources.iter().map(|folder| format!("{:?}", remap(folder))).collect();
    format!("target.{target}.rustflags=[{}]", flags.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sources_of_packages_are_forgotten() {
        assert!(is_of_packages(Path::new("src/-1ade7a66a2daebc0")));
        assert!(!is_of_packages(Path::new("src/example.org-1949cf8c6b5b557f")));
    }

    #[test]
    fn every_source_folder_is_remapped_away() {
        let folders = ["/a b/one", "/two"].map(PathBuf::from);
        assert_eq!(
            flags("any", &folders),
            r#"target.any.rustflags=["--remap-path-prefix=/a b/one/=", "--remap-path-prefix=/two/="]"#
        );
        assert_eq!(flags("any", &[]), "target.any.rustflags=[]");
    }
}
