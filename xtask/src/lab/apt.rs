//! apt: what installs ordinary tools and knows where packages are.
//!
//! It is asked at most twice for one thing, the second time with fresh lists, and never waits for a
//! password. Whatever goes wrong becomes one line that names the package and, where root is needed,
//! the command to type.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::unistd::geteuid;

use crate::host::children;
use crate::host::steps::{self, say};

/// apt's patience with a dead network, and with another apt.
const APT: [&str; 8] = [
    "-q",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=30",
    "-o",
    "DPkg::Lock::Timeout=120",
    "-y",
];
/// For one call, with a slow network.
pub const LIMIT: Duration = Duration::from_secs(900);

/// Makes sure that `program` can be started: installs `packages` if it is not there.
pub fn installed(program: &str, packages: &[&str]) -> Result<()> {
    if on_path(program) {
        return Ok(());
    }
    let names = packages.join(" ");
    let install = ["install", "--no-install-recommends"];
    say(&format!("        installing {names}: there is no {program}"));
    let apt_get = || {
        as_root("apt-get")
            .with_context(|| format!("type: sudo apt-get {} {names}", install.join(" ")))
    };
    apt_get()?;
    with_fresh_lists(&names, || apt(apt_get(), &[&install, packages].concat()))?;
    ensure!(on_path(program), "{names} is installed, but there is no {program} in PATH");
    Ok(())
}

/// Downloads packages into `folder`.
pub fn download(names: &[String], folder: &Path) -> Result<()> {
    with_fresh_lists(&names.join(" "), || {
        let mut download = children::command("apt-get");
        download.current_dir(folder).arg("download").args(names);
        apt(Ok(download), &[])
    })
}

/// The names that these packages depend on.
pub fn depends(names: &[String]) -> Result<Vec<String>> {
    let said = with_fresh_lists(&names.join(" "), || apt_cache_depends(names))?;
    let depends = said.lines().filter_map(|line| line.trim().split_once("Depends: "));
    Ok(depends.map(|(_, name)| name.to_owned()).collect())
}

/// Is there a program of this name?
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Tries `get`; if it fails, updates apt's lists and tries once more. The error is one line that
/// names `what`.
fn with_fresh_lists<T>(what: &str, get: impl Fn() -> Result<T>) -> Result<T> {
    get().or_else(|first| {
        if children::interrupted() {
            return Err(first);
        }
        say("        updating apt's package lists");
        let update = apt(as_root("apt-get"), &["update", "-o", "APT::Update::Error-Mode=any"]);
        get().map_err(|second| match update {
            Ok(()) => anyhow!("cannot get {what}: {second:#}"),
            Err(update) => anyhow!("cannot get {what}: {second:#}; apt-get update: {update:#}"),
        })
    })
}

fn apt_cache_depends(names: &[String]) -> Result<String> {
    let mut query = children::command("apt-cache");
    query.arg("depends").args(names).env("LC_ALL", "C");
    steps::logged("packages", query, LIMIT).map_err(|error| reason(&error))
}

fn apt(command: Result<Command>, arguments: &[&str]) -> Result<()> {
    let mut command = command?;
    command.args(APT).args(arguments).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    steps::logged("packages", command, LIMIT).map(drop).map_err(|error| reason(&error))
}

/// Of all that apt wrote, the line that says why.
fn reason(error: &anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| ["E: ", "sudo: ", "setpriv: "].iter().any(|start| line.starts_with(start)));
    anyhow!("{}", line.unwrap_or(&text).trim_start_matches("E: "))
}

fn as_root(program: &str) -> Result<Command> {
    if geteuid().is_root() {
        return Ok(children::command(program));
    }
    let mut ask = Command::new("sudo");
    ask.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if !ask.status().is_ok_and(|status| status.success()) {
        bail!("this needs root, and sudo would ask for a password");
    }
    let mut command = children::command("sudo");
    command.args(["-n", program]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_reason_is_its_error_line() {
        let error = anyhow!(
            "exit status: 100\n    Reading...\n    E: Unable to locate package x\n    \
             (all of it: y)"
        );
        assert_eq!(reason(&error).to_string(), "Unable to locate package x");
    }
}
