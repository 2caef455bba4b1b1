// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacks packages without installing them.
//!
//! Installing a hypervisor package would change the boot loader's configuration, so Xen's packages
//! are only downloaded and unpacked under `target/packages/<name>_<version>`. A folder there is
//! complete, because it is renamed last; once it exists, neither network nor root is needed.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result};

use super::apt::{self, Release};
use crate::host::steps::{self, say};
use crate::host::{children, paths};

/// Prints once which Xen this is, and whether apt has another version: unpacked packages are never
/// updated.
pub fn tell(folder: &Path) {
    static TOLD: Once = Once::new();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((package, version)) = name.split_once('_') else { return };
    TOLD.call_once(|| say(&format!("        {}", kept(package, version, apt::candidate(package)))));
}

fn kept(package: &str, version: &str, candidate: Option<String>) -> String {
    // In file names apt escapes the colon.
    let version = version.replace("%3a", ":");
    match candidate {
        Some(other) if other != version => {
            format!("{package} {version}; apt has {other}: rm -r target/packages to get it")
        }
        _ => format!("{package} {version}"),
    }
}

/// The folder of the release's package whose name is `wanted`: the cached one, or else the one that
/// package `parent` depends on.
pub fn depended(
    release: Release,
    parent: &str,
    wanted: impl Fn(&str) -> bool,
    trim: &dyn Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let prefix = release.prefix();
    let is_kept = |name: &str| name.strip_prefix(&prefix).is_some_and(&wanted);
    if let Some(folder) = cached(&folders(), is_kept) {
        return Ok(paths::packages().join(folder));
    }
    let names = release.depends(&[parent.to_owned()])?;
    let name = names.into_iter().find(|name| wanted(name));
    let name = name.with_context(|| format!("{parent} depends on no suitable package"))?;
    together(release, &name, std::slice::from_ref(&name), trim)
}

/// The folder with the contents of package `name` from this machine's release, downloaded if need
/// be.
pub fn unpacked(name: &str) -> Result<PathBuf> {
    match in_cache(Release::OWN, name) {
        Some(folder) => Ok(folder),
        None => together(Release::OWN, name, &[name.to_owned()], &|_| Ok(())),
    }
}

/// The cached folder of this name.
pub fn in_cache(release: Release, name: &str) -> Option<PathBuf> {
    let name = release.prefix() + name;
    Some(paths::packages().join(cached(&folders(), |cached| cached == name)?))
}

/// The names of these packages and of all libraries they depend on.
pub fn with_libraries(release: Release, packages: &[&str]) -> Result<Vec<String>> {
    let mut names: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
    let mut new = names.clone();
    while !new.is_empty() {
        let mut more = release.depends(&new)?;
        more.sort();
        more.dedup();
        more.retain(|name| {
            (name.starts_with("lib") || name.starts_with("zlib")) && !names.contains(name)
        });
        names.extend(more.iter().cloned());
        new = more;
    }
    Ok(names)
}

/// Downloads packages and unpacks them into one folder, which gets the first one's version; also
/// unpacks its `boot/*.gz`, and has `trim` remove what nobody needs.
pub fn together(
    release: Release,
    name: &str,
    packages: &[String],
    trim: &dyn Fn(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let name = &(release.prefix() + name);
    let all = packages.join(" ");
    let place = paths::packages();
    say(&format!("        downloading {all}, to be unpacked under {}", paths::shown(&place)));
    let part = Part::create()?;
    release.download(packages, &part.0)?;
    let root = part.0.join("root");
    let mut version = None;
    for package in packages {
        // A name may have a version behind it.
        let start = format!("{}_", package.split('=').next().unwrap_or_default());
        let archive = find(&part.0, |file| file.starts_with(&start) && file.ends_with(".deb"))
            .with_context(|| format!("apt-get download left no {package}"))?;
        run("dpkg-deb", &["-x".as_ref(), archive.as_ref(), root.as_ref()], package)?;
        fs::remove_file(&archive)?;
        let file = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        version = version.or(file.split('_').nth(1).map(str::to_owned));
    }
    while let Some(packed) = find(&root.join("boot"), |file| file.ends_with(".gz")) {
        run("gunzip", &[packed.as_ref()], name)?;
    }
    trim(&root)?;
    let folder = place.join(format!("{name}_{}", version.unwrap_or_default()));
    match fs::rename(&root, &folder) {
        Err(_) if folder.is_dir() => Ok(folder), // another run was faster
        result => result.map(|()| folder).with_context(|| format!("cannot keep {name}")),
    }
}

/// Runs a program that unpacks.
pub fn run(program: &str, arguments: &[&OsStr], package: &str) -> Result<()> {
    let mut unpack = children::command(program);
    unpack.args(arguments);
    steps::logged("packages", unpack, apt::LIMIT)
        .with_context(|| format!("cannot unpack {package}"))?;
    Ok(())
}

/// The newest folder whose package name is `wanted`; folders are named `<name>_<version>`.
fn cached(folders: &[String], wanted: impl Fn(&str) -> bool) -> Option<String> {
    let named = |folder: &&String| folder.split_once('_').is_some_and(|(name, _)| wanted(name));
    folders.iter().filter(named).max().cloned()
}

fn folders() -> Vec<String> {
    names(&paths::packages())
}

/// Returns a file in `folder` whose name is `wanted`.
pub fn find(folder: &Path, wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    names(folder).iter().find(|name| wanted(name)).map(|name| folder.join(name))
}

/// The names in a folder; none if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// A temporary folder next to the final ones; dropping it removes it.
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

/// Whether this folder was left behind by a run that no longer exists.
fn abandoned(name: &str) -> bool {
    name.strip_prefix(".part-").is_some_and(|process| !Path::new("/proc").join(process).exists())
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
        assert_eq!(cached(&folders, |name| name == "libxen").as_deref(), Some("libxen_4.17.7"));
        assert_eq!(cached(&folders, |name| name == "xen"), None);
        assert_eq!(cached(&folders, |_| true).as_deref(), Some("xen-hypervisor-4.17-amd64_4.17.7"));
    }

    #[test]
    fn an_old_xen_is_reported_with_the_version_that_apt_has() {
        let kept =
            |candidate: Option<&str>| kept("xen", "1%3a4.17.5-1", candidate.map(str::to_owned));
        assert_eq!(kept(None), "xen 1:4.17.5-1");
        assert_eq!(kept(Some("1:4.17.5-1")), "xen 1:4.17.5-1");
        let said = kept(Some("1:4.17.6-1"));
        assert!(said.starts_with("xen 1:4.17.5-1; apt has 1:4.17.6-1: "), "{said}");
    }

    #[test]
    fn only_a_dead_runs_folder_is_abandoned() {
        assert!(!abandoned(&format!(".part-{}", std::process::id())));
        assert!(abandoned(".part-4194305"));
        assert!(!abandoned("libxen-dev_4.17.7"));
    }
}
