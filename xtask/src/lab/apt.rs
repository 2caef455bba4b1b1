// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uses apt to install ordinary tools and to find packages.
//!
//! Each request is tried at most twice, the second time with fresh package lists, and never waits
//! for a password. Any failure becomes one line that names the package and, where root is needed,
//! the command to type.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::unistd::geteuid;

use crate::host::steps::{self, say};
use crate::host::{children, paths};

/// Options for apt: how long to wait for a dead network, and for another apt.
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
/// The keys of Debian's archive, including those for later releases.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// How long one call may take on a slow network.
pub const LIMIT: Duration = Duration::from_secs(900);

/// Makes sure that `program` exists: installs `packages` if it does not.
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

/// A Debian release: this machine's, or another from the same mirror. apt's own lists and settings
/// are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release(Option<&'static str>);

impl Release {
    /// This machine's release.
    pub const OWN: Release = Release(None);

    /// The release of this name, such as `trixie`.
    pub fn named(name: &'static str) -> Release {
        let own = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let is_own = own.lines().any(|line| line == format!("VERSION_CODENAME={name}"));
        Release((!is_own).then_some(name))
    }

    /// The prefix of its folders' names, which tells them from other releases' folders.
    pub fn prefix(self) -> String {
        self.0.map(|name| format!("{name}-")).unwrap_or_default()
    }

    /// Downloads packages into `folder`.
    pub fn download(self, names: &[String], folder: &Path) -> Result<()> {
        self.with_fresh_lists(&names.join(" "), || {
            let mut download = self.ask("apt-get")?;
            download.current_dir(folder).arg("download").args(names);
            apt(Ok(download), &[])
        })
    }

    /// Returns the names of the packages that these depend on.
    pub fn depends(self, names: &[String]) -> Result<Vec<String>> {
        let said = self.with_fresh_lists(&names.join(" "), || {
            let mut query = self.ask("apt-cache")?;
            query.arg("depends").args(names).env("LC_ALL", "C");
            steps::logged("packages", query, LIMIT).map_err(|error| reason(&error))
        })?;
        let depends = said.lines().filter_map(|line| line.trim().split_once("Depends: "));
        Ok(depends.map(|(_, name)| name.to_owned()).collect())
    }

    /// Tries `get`; if it fails, updates apt's lists and tries once more. The error is one line that
    /// names `what`.
    fn with_fresh_lists<T>(self, what: &str, get: impl Fn() -> Result<T>) -> Result<T> {
        let Some(name) = self.0 else { return with_fresh_lists(what, get) };
        get().or_else(|first| {
            if children::interrupted() {
                return Err(first);
            }
            say(&format!("        getting {name}'s package lists"));
            let update = self.lists().and_then(|()| {
                apt(self.ask("apt-get"), &["update", "-o", "APT::Update::Error-Mode=any"])
            });
            update.and_then(|()| get()).with_context(|| format!("cannot get {what} of {name}"))
        })
    }

    /// Sets up apt's source list and folders for this release.
    fn lists(self) -> Result<()> {
        let name = self.0.unwrap_or_default();
        let mirror = with_fresh_lists(name, mirror)?;
        let state = self.state();
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(part))?;
        }
        let line = format!("deb [signed-by={KEYS}] {mirror} {name} main\n");
        fs::write(state.join("list"), line).context("cannot write apt's source list")
    }

    fn state(self) -> PathBuf {
        paths::target().join("apt").join(self.0.unwrap_or_default())
    }

    /// One of apt's programs, set up to use only this release.
    fn ask(self, program: &str) -> Result<Command> {
        let mut command = children::command(program);
        if self.0.is_some() {
            let state = self.state();
            ensure!(state.join("list").exists(), "no lists yet");
            let state = state.display();
            let settings = [
                format!("Dir::Etc::sourcelist={state}/list"),
                "Dir::Etc::sourceparts=/dev/null".into(),
                format!("Dir::State::lists={state}/lists"),
                "Dir::State::status=/dev/null".into(),
                format!("Dir::Cache={state}/cache"),
                "Acquire::Languages=none".into(),
            ];
            command.args(settings.iter().flat_map(|set| ["-o", set]));
        }
        Ok(command)
    }
}

/// The mirror that this machine gets Debian's packages from.
fn mirror() -> Result<String> {
    let mut query = children::command("apt-get");
    query.args(["indextargets", "--format", "$(REPO_URI)"]);
    query.args(["Created-By: Packages", "Label: Debian", "Component: main"]);
    let said = steps::logged("packages", query, LIMIT).map_err(|error| reason(&error))?;
    said.lines().next().map(str::to_owned).context("apt knows no Debian mirror")
}

/// The version of a package that apt would install now, according to its lists.
pub fn candidate(package: &str) -> Option<String> {
    let mut query = children::command("apt-cache");
    query.args(["policy", package]).env("LC_ALL", "C");
    let said = steps::logged("packages", query, LIMIT).ok()?;
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

/// Whether there is a program of this name.
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
            Err(update) => anyhow!(
                "cannot get {what}: {second:#}; apt-get update: {update:#} (the network is needed \
                 only once: downloads stay in target/packages)"
            ),
        })
    })
}

fn apt(command: Result<Command>, arguments: &[&str]) -> Result<()> {
    let mut command = command?;
    command.args(APT).args(arguments).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    steps::logged("packages", command, LIMIT).map(drop).map_err(|error| reason(&error))
}

/// Picks the line that gives the reason from everything apt printed.
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
    fn the_reason_is_apts_error_line() {
        let error = anyhow!(
            "exit status: 100\n    Reading...\n    E: Unable to locate package x\n    \
             (full log: y)"
        );
        assert_eq!(reason(&error).to_string(), "Unable to locate package x");
    }
}
