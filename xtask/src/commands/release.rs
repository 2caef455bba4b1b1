// SPDX-License-Identifier: MIT OR Apache-2.0
//! A release: the kernel, its xl configurations, documentation for the host's administrator, and
//! checksums, in one archive that is bit for bit the same wherever it's built.
//!
//! Files are sorted and have no times or owners; the kernel contains no path of its builder's.
//! `--check` builds it again in another folder with another Cargo home, and compares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches};

use crate::guests::image;
use crate::host::cargo::{self, Place};
use crate::host::steps::{logged, say, step};
use crate::host::{children, paths};

/// Files packed with the kernel and its configurations.
const TEXTS: [&str; 5] =
    ["LICENSE-APACHE", "LICENSE-MIT", "CHANGELOG.md", "SECURITY.md", "docs/security.md"];
/// How long copying and packing may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The command's arguments.
pub fn arguments() -> Vec<Arg> {
    let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
    vec![check.help("Build it again, in another folder with another CARGO_HOME, and compare")]
}

/// `./run.sh release [--check]`
pub fn command(matches: &ArgMatches) -> Result<()> {
    let kernel = image::kernel()?;
    let made = step("archive", || archive(paths::root(), &kernel, &paths::target()))?;
    say(&format!("        {}", paths::shown(&made)));
    if matches.get_flag("check") {
        step("the same from another folder", || same_elsewhere(&made))?;
    }
    Ok(())
}

/// Packs the built image, and checks that a build elsewhere gives the same archive.
pub fn check() -> Result<()> {
    let kernel = paths::image().join("grantkit");
    let made = archive(paths::root(), &kernel, &paths::target())?;
    same_elsewhere(&made).context("the release")
}

/// Packs a kernel built from `root` into `folder`, and returns the archive.
fn archive(root: &Path, kernel: &Path, folder: &Path) -> Result<PathBuf> {
    let name = format!("grantkit-{}", env!("CARGO_PKG_VERSION"));
    let (packed, made) = (folder.join(&name), folder.join(format!("{name}.tar.gz")));
    let _ = fs::remove_dir_all(&packed);
    image::assemble(root, kernel, &packed)?;
    for text in TEXTS.map(|text| root.join(text)) {
        let copied = fs::copy(&text, packed.join(text.file_name().unwrap_or_default()));
        copied.with_context(|| format!("cannot copy {}", paths::shown(&text)))?;
    }
    let mut names = files_in(&packed)?;
    names.iter_mut().for_each(|path| *path = path.file_name().unwrap_or_default().into());
    names.sort();
    let mut sums = Command::new("sha256sum");
    sums.args(&names).current_dir(&packed);
    fs::write(packed.join("SHA256SUMS"), output(sums)?)?;
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.args(["--mode=u=rwX,go=rX", "--format=ustar", "-I", "gzip -n -9", "-cf"]);
    tar.arg(&made).arg(&name).current_dir(folder);
    output(tar)?;
    Ok(made)
}

/// Builds the image from a copy of the sources in another folder, with another Cargo home, packs
/// it, and compares the archives.
fn same_elsewhere(made: &Path) -> Result<()> {
    let elsewhere = std::env::temp_dir().join(format!("grantkit-release-{}", std::process::id()));
    let result = build_and_compare(made, &elsewhere);
    let _ = fs::remove_dir_all(&elsewhere);
    result
}

fn build_and_compare(made: &Path, elsewhere: &Path) -> Result<()> {
    let (root, home) = (elsewhere.join("other/sources"), elsewhere.join("home"));
    fs::create_dir_all(&root)?;
    let mut copy = children::command("cp");
    copy.arg("-r").args(sources()?).arg(&root);
    logged("release-copy", copy, LIMIT)?;
    // Downloaded crates are unpacked again there, under another path.
    fs::create_dir_all(home.join("registry"))?;
    for part in ["index", "cache"] {
        let from = cargo::home().context("Cargo has no home folder")?.join("registry").join(part);
        let mut copy = children::command("cp");
        copy.arg("-r").arg(from).arg(home.join("registry"));
        logged("release-copy", copy, LIMIT)?;
    }
    let place = Place { root, home, target: elsewhere.join("built") };
    let kernel = image::kernel_elsewhere(&place)?;
    let other = archive(&place.root, &kernel, elsewhere)?;
    ensure!(
        fs::read(made)? == fs::read(&other)?,
        "{} differs from one that is built elsewhere",
        paths::shown(made)
    );
    Ok(())
}

/// The repository's sources: everything at its top except what a build or git makes.
fn sources() -> Result<Vec<PathBuf>> {
    let made = [paths::target(), paths::root().join("target"), paths::root().join(".git")];
    let mut sources = files_in(paths::root())?;
    sources.retain(|path| !made.contains(path));
    Ok(sources)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", paths::shown(folder)))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The output of a short command.
fn output(mut command: Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => bail!("{}", String::from_utf8_lossy(&output.stderr).trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_no_times_and_its_sums_are_right() {
        let folder = paths::target().join(format!("archive-{}", std::process::id()));
        let packed = |sub: &str| {
            let (kernel, out) = (folder.join("kernel"), folder.join(sub));
            fs::create_dir_all(&out).unwrap();
            fs::write(&kernel, b"\x7fELF").unwrap();
            archive(paths::root(), &kernel, &out).unwrap()
        };
        let (one, two) = (packed("one"), packed("two"));
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        let made = folder.join("one").join(format!("grantkit-{}", env!("CARGO_PKG_VERSION")));
        let mut check = Command::new("sha256sum");
        check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(made);
        let said = String::from_utf8(output(check).unwrap()).unwrap();
        assert_eq!(said.lines().filter(|line| line.ends_with(": OK")).count(), TEXTS.len() + 4);
        fs::remove_dir_all(folder).unwrap();
    }
}
