//! Cargo, called from inside cargo.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{children, steps};

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

/// Builds for `target`, in the release profile.
pub fn release(log: &str, target: &str, which: &[&str]) -> Result<()> {
    let mut command = command(&["build", "--release", "--target", target]);
    command.args(which);
    steps::logged(log, command, BUILD_LIMIT).map(drop)
}
