//! What the machine lacks, named while it is fetched.
//!
//! Ordinary tools are installed. Packages of Xen's never are, because a hypervisor package rewires the boot loader:
//! they are downloaded and unpacked under `target/packages/<name>_<version>`. A folder there is whole, because it
//! gets its name last; with it neither network nor root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::unistd::geteuid;

use crate::steps::{self, say};
use crate::{children, paths};

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
const LIMIT: Duration = Duration::from_secs(900);

/// Makes sure that `program` can be started: installs `packages` if it is not there.
pub fn installed(program: &str, packages: &[&str]) -> Result<()> {
    if on_path(program) {
        return Ok(());
    }
    let names = packages.join(" ");
    let install = ["install", "--no-install-recommends"];
    say(&format!(
        "        installing {names}: there is no {program}"
    ));
    let apt_get = || {
        as_root("apt-get")
            .with_context(|| format!("type: sudo apt-get {} {names}", install.join(" ")))
    };
    apt_get()?;
    with_fresh_lists(&names, || apt(apt_get(), &[&install, packages].concat()))?;
    ensure!(
        on_path(program),
        "{names} is installed, but there is no {program} in PATH"
    );
    Ok(())
}

/// The hypervisor, ready for QEMU to load: the one in the cache, else the one that Debian's xen-system depends on.
pub fn xen() -> Result<PathBuf> {
    let is_hypervisor =
        |name: &str| name.starts_with("xen-hypervisor-") && name.ends_with("-amd64");
    let folder = match cached(&folders(), is_hypervisor) {
        Some(folder) => paths::packages().join(folder),
        None => {
            let list = with_fresh_lists("xen-hypervisor-*-amd64", || {
                apt_cache_depends("xen-system-amd64")
            })?;
            let name = list.split_whitespace().find(|word| is_hypervisor(word));
            unpacked(name.context("xen-system-amd64 depends on no hypervisor")?)?
        }
    };
    let boot = folder.join("boot");
    find(&boot, |file| {
        file.starts_with("xen-") && file.ends_with("-amd64")
    })
    .with_context(|| format!("no xen-*-amd64 in {}", paths::shown(&boot)))
}

/// The folder with the contents of package `name`, downloaded if need be; `boot/*.gz` in it is unpacked, too.
pub fn unpacked(name: &str) -> Result<PathBuf> {
    if let Some(folder) = cached(&folders(), |cached| cached == name) {
        return Ok(paths::packages().join(folder));
    }
    say(&format!(
        "        downloading {name}, to be unpacked under {}",
        paths::shown(&paths::packages())
    ));
    let part = Part::create()?;
    with_fresh_lists(name, || {
        let mut download = children::command("apt-get");
        download.current_dir(&part.0);
        apt(Ok(download), &["download", name])
    })?;
    let archive =
        find(&part.0, |file| file.ends_with(".deb")).context("apt-get download left no package")?;
    let root = part.0.join("root");
    let mut unpack = children::command("dpkg-deb");
    unpack.arg("-x").arg(&archive).arg(&root);
    steps::logged("packages", unpack, LIMIT).with_context(|| format!("cannot unpack {name}"))?;
    while let Some(packed) = find(&root.join("boot"), |file| file.ends_with(".gz")) {
        let mut unpack = children::command("gunzip");
        unpack.arg(packed);
        steps::logged("packages", unpack, LIMIT)
            .with_context(|| format!("cannot unpack {name}"))?;
    }
    let file = archive
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let folder = paths::packages().join(
        file.rsplit_once('_')
            .map_or(file.as_str(), |(stem, _architecture)| stem),
    );
    match fs::rename(&root, &folder) {
        Err(_) if folder.is_dir() => Ok(folder), // another run was faster
        result => result
            .map(|()| folder)
            .with_context(|| format!("cannot keep {name}")),
    }
}

/// Is there a program of this name?
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The newest folder whose package name is `wanted`; folders are named `<name>_<version>`.
fn cached(folders: &[String], wanted: impl Fn(&str) -> bool) -> Option<String> {
    let named = |folder: &&String| folder.split_once('_').is_some_and(|(name, _)| wanted(name));
    folders.iter().filter(named).max().cloned()
}

fn folders() -> Vec<String> {
    names(&paths::packages())
}

/// Some file in `folder` whose name is `wanted`.
fn find(folder: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    names(folder)
        .iter()
        .find(|name| wanted(name))
        .map(|name| folder.join(name))
}

/// The names in a folder; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

/// Tries `get`; if it fails, updates apt's lists and tries once more. The error is one line that names `what`.
fn with_fresh_lists<T>(what: &str, get: impl Fn() -> Result<T>) -> Result<T> {
    get().or_else(|first| {
        if children::interrupted() {
            return Err(first);
        }
        say("        updating apt's package lists");
        let update = apt(
            as_root("apt-get"),
            &["update", "-o", "APT::Update::Error-Mode=any"],
        );
        get().map_err(|second| match update {
            Ok(()) => anyhow!("cannot get {what}: {second:#}"),
            Err(update) => anyhow!("cannot get {what}: {second:#}; apt-get update: {update:#}"),
        })
    })
}

fn apt_cache_depends(name: &str) -> Result<String> {
    let mut query = children::command("apt-cache");
    query.args(["depends", name]).env("LC_ALL", "C");
    steps::logged("packages", query, LIMIT).map_err(|error| reason(&error))
}

fn apt(command: Result<Command>, arguments: &[&str]) -> Result<()> {
    let mut command = command?;
    command
        .args(APT)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive");
    steps::logged("packages", command, LIMIT)
        .map(drop)
        .map_err(|error| reason(&error))
}

/// Of all that apt wrote, the line that says why.
fn reason(error: &anyhow::Error) -> anyhow::Error {
    let text = error.to_string();
    let line = text.lines().map(str::trim).find(|line| {
        ["E: ", "sudo: ", "setpriv: "]
            .iter()
            .any(|start| line.starts_with(start))
    });
    anyhow!("{}", line.unwrap_or(&text).trim_start_matches("E: "))
}

fn as_root(program: &str) -> Result<Command> {
    if geteuid().is_root() {
        return Ok(children::command(program));
    }
    let mut ask = Command::new("sudo");
    ask.args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !ask.status().is_ok_and(|status| status.success()) {
        bail!("this needs root, and sudo would ask for a password");
    }
    let mut command = children::command("sudo");
    command.args(["-n", program]);
    Ok(command)
}

/// A folder to work in, beside those it is to become one of; dropping it removes it.
struct Part(PathBuf);

impl Part {
    fn create() -> Result<Part> {
        let all = paths::packages();
        for left in folders().iter().filter(|name| abandoned(name)) {
            let _ = fs::remove_dir_all(all.join(left));
        }
        let part = Part(all.join(format!(".part-{}", std::process::id())));
        fs::create_dir_all(&part.0)
            .with_context(|| format!("cannot create {}", paths::shown(&part.0)))?;
        Ok(part)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Was this folder left behind by a run that is no more?
fn abandoned(name: &str) -> bool {
    name.strip_prefix(".part-")
        .is_some_and(|process| !Path::new("/proc").join(process).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_cache_is_searched_by_whole_names() {
        let folders = owned(&[
            "libxen-dev_4.17.7",
            "libxen_4.17.7",
            ".part-77",
            "xen-hypervisor-4.17-amd64_4.17.7",
        ]);
        assert_eq!(
            cached(&folders, |name| name == "libxen").as_deref(),
            Some("libxen_4.17.7")
        );
        assert_eq!(cached(&folders, |name| name == "xen"), None);
        assert_eq!(
            cached(&folders, |_| true).as_deref(),
            Some("xen-hypervisor-4.17-amd64_4.17.7")
        );
    }

    #[test]
    fn only_a_dead_runs_folder_is_abandoned() {
        assert!(!abandoned(&format!(".part-{}", std::process::id())));
        assert!(abandoned(".part-4194305"));
        assert!(!abandoned("libxen-dev_4.17.7"));
    }

    #[test]
    fn apts_reason_is_its_error_line() {
        let error = anyhow!(
            "exit status: 100\n    Reading...\n    E: Unable to locate package x\n    (all of it: y)"
        );
        assert_eq!(reason(&error).to_string(), "Unable to locate package x");
    }
}
