// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts the lab's dom0 together: Debian's Linux, and an initramfs of a few MB with Xen's daemons,
//! xl, our agent and the guests.
//!
//! Programs and libraries come from unpacked packages, never from this machine. Only the libraries
//! that the programs need go in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt::Release;
use super::cpio::Archive;
use super::packages::{self, find};
use super::{Mode, apt, debian, hypervisor, libraries, qemu};
use crate::host::steps::{self, step};
use crate::host::{cargo, children, paths};

/// The programs for dom0 from the package of Xen's tools.
const PROGRAMS: [&str; 8] = [
    "xenstored",
    "oxenstored",
    "xen-init-dom0",
    "xenconsoled",
    "xenconsole",
    "xl",
    "libxl-save-helper",
    "vchan-socket-proxy",
];
/// The plugin that oxenstored opens, relative to the parent of the programs' folder.
const PLUGIN: &str = "ocaml/xsd_glue/xenctrl_plugin/domain_getinfo_v1.cmxs";
/// Libraries that programs open at run time. Without the first, xl aborts when one of its threads
/// ends; our own programs open the others.
const OPENED: [&str; 3] = ["libgcc_s.so.1", "libxengnttab.so.1", "libxenevtchn.so.1"];
/// Configuration files: dom0's memory is fixed, and oxenstored must be told where Linux exposes
/// dom0's ring.
const SETTINGS: [(&str, &str); 2] = [
    ("xl.conf", "autoballoon=\"off\"\n"),
    ("oxenstored.conf", "xenstored-kva = /proc/xen/xsd_kva\nxenstored-port = /proc/xen/xsd_port\n"),
];
/// The folder of this machine's libraries in a dom0 of another release.
pub const OWN: &str = "own";
/// The library folders in Debian's packages.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
/// Where libraries go in dom0, and where their loader goes.
const PLACES: [&str; 2] = [LIBRARIES[0], "lib64"];
/// Our programs' target. Programs that open no libraries are linked statically, so that they run
/// with any C library.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "target.x86_64-unknown-linux-gnu.rustflags=['-Ctarget-feature=+crt-static']";

/// What dom0 boots from. QEMU ends a module's name at a blank, so the paths are relative to cargo's
/// target directory, inside which we choose all names.
pub struct Dom0 {
    /// The hypervisor.
    pub xen: PathBuf,
    /// Linux.
    pub linux: PathBuf,
    /// The initramfs.
    pub initramfs: PathBuf,
    /// The part of Linux's command line that depends on the files.
    pub arguments: String,
    /// How its guests run.
    pub mode: Mode,
    /// Whether it also contains this machine's libraries, for those of our programs that open
    /// libraries.
    pub own: bool,
}

/// More programs from Debian.
pub struct More {
    /// The unpacked packages.
    pub folder: PathBuf,
    /// Each program's path in that folder, and in dom0.
    pub programs: &'static [(&'static str, &'static str)],
    /// Files, by name and contents.
    pub files: Vec<(&'static str, String)>,
}

/// Puts dom0 together for Debian's Xen or the given one; its programs find the files `guests` in
/// their working directory.
pub fn prepare(guests: &[PathBuf], given: Option<&Path>, mode: Mode) -> Result<Dom0> {
    prepare_with(Release::OWN, guests, given, mode, None)
}

/// Like [`prepare`], with the Xen, Linux and tools of a Debian release, and with more programs.
pub fn prepare_with(
    release: Release,
    guests: &[PathBuf],
    given: Option<&Path>,
    mode: Mode,
    more: Option<&More>,
) -> Result<Dom0> {
    let agent = program("agent")?;
    step("prepare dom0", || {
        qemu::present()?;
        let xen = given.map_or_else(|| debian::xen(release), |xen| Ok(xen.to_owned()))?;
        if given.is_some() {
            hypervisor::suits(&xen, &debian::version(release)?)?;
        }
        let (linux, tools) = (debian::linux(release)?, debian::tools(release)?);
        let bin = find(&tools.join("usr/lib"), |name| name.starts_with("xen-"))
            .context("no usr/lib/xen-* among the tools")?
            .join("bin");
        let mut archive = Archive::default();
        archive.file("init", &read(&agent)?);
        for folder in ["var/lock", "var/lib/xen", "var/lib/xenstored", "tmp"] {
            archive.folder(folder);
        }
        for (file, lines) in SETTINGS {
            archive.file(&format!("etc/xen/{file}"), lines.as_bytes());
        }
        modules(&linux, &mut archive)?;
        let programs = programs(&tools, &bin, &mut archive)?;
        // If the archive contains a file twice, the last one wins.
        if let Some(more) = more {
            add(more, &mut archive)?;
        }
        shared(&tools, &programs, &OPENED, &PLACES, &mut archive)?;
        let own = release != Release::OWN;
        if own {
            // Our programs are built for this machine's C library, which may be newer.
            shared(&debian::tools(Release::OWN)?, &[], &OPENED, &[OWN; 2], &mut archive)?;
        }
        for guest in guests {
            archive.file(&format!("guests/{}", name(guest)), &read(guest)?);
        }
        let kernel = find(&linux.join("boot"), |name| name.starts_with("vmlinu"))
            .context("no boot/vmlinu* in Debian's Linux")?;
        let target = paths::target();
        let initramfs = Path::new("dom0").join("initramfs.cpio");
        keep(&target.join(&initramfs), &archive.finish())?;
        let path = bin.strip_prefix(&tools)?.display();
        Ok(Dom0 {
            xen,
            linux: kernel.strip_prefix(&target)?.to_owned(),
            initramfs,
            arguments: format!("PATH=/{path}:/bin"),
            mode,
            own,
        })
    })
}

/// Builds a program that runs in dom0.
pub fn program(name: &str) -> Result<PathBuf> {
    build(name, &["--config", STATIC])
}

/// Builds a program that opens dom0's libraries at run time.
pub fn program_with_libraries(name: &str) -> Result<PathBuf> {
    build(name, &[])
}

/// Builds a C program that uses one of Xen's libraries, with Debian's headers and library.
pub fn program_in_c(name: &str, library: &str) -> Result<PathBuf> {
    step(&format!("build {name} for dom0"), || {
        apt::installed("cc", &["gcc", "libc6-dev"])?;
        let headers = packages::unpacked("libxen-dev")?.join("usr/include");
        let (tools, folder) =
            (debian::tools(Release::OWN)?, paths::target().join(TARGET).join("release"));
        fs::create_dir_all(&folder)?;
        let libraries = tools.join(LIBRARIES[1]);
        let of_version = |file: &str| file.starts_with(&format!("{library}.so."));
        let library = find(&libraries, of_version).with_context(|| format!("no {library}"))?;
        let mut cc = children::command("cc");
        cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-s", "-Wl,--allow-shlib-undefined", "-I"]);
        cc.arg(headers).arg("-o").arg(folder.join(name));
        cc.arg(paths::root().join("lab/dom0/src/c").join(name).with_extension("c")).arg(library);
        steps::logged(&format!("build-{name}"), cc, apt::LIMIT)?;
        Ok(folder.join(name))
    })
}

fn build(name: &str, linking: &[&str]) -> Result<PathBuf> {
    step(&format!("build {name} for dom0"), || {
        let which = ["-p", "dom0", "--bin", name, "--config", "profile.release.strip=true"];
        cargo::release(&format!("build-{name}"), TARGET, &[&which, linking].concat())?;
        Ok(paths::target().join(TARGET).join("release").join(name))
    })
}

pub(super) fn modules(linux: &Path, archive: &mut Archive) -> Result<()> {
    let folder = linux.join("xen-modules");
    for name in ["xen-privcmd", "xen-evtchn", "xen-gntalloc", "xen-gntdev", "xenfs/xenfs"] {
        let file = folder.join(format!("{name}.ko"));
        archive.file(&format!("modules/{}", self::name(&file)), &read(&file)?);
    }
    Ok(())
}

fn programs(tools: &Path, bin: &Path, archive: &mut Archive) -> Result<Vec<PathBuf>> {
    let mut programs: Vec<PathBuf> = PROGRAMS.iter().map(|program| bin.join(program)).collect();
    // The OCaml daemon of Xen 4.20 opens a plugin.
    let plugin = bin.with_file_name(PLUGIN);
    programs.extend(plugin.exists().then_some(plugin));
    for program in &programs {
        archive.file(&program.strip_prefix(tools)?.to_string_lossy(), &read(program)?);
    }
    Ok(programs)
}

fn add(more: &More, archive: &mut Archive) -> Result<()> {
    let mut programs = Vec::new();
    for (from, to) in more.programs {
        let program = more.folder.join(from);
        archive.file(to, &read(&program)?);
        programs.push(program);
    }
    for (file, contents) in &more.files {
        archive.file(file, contents.as_bytes());
    }
    shared(&more.folder, &programs, &[], &PLACES, archive)
}

/// Puts the libraries that `programs` need, and the `opened` ones, into the first folder of `into`,
/// and the loader into the second.
fn shared(
    tools: &Path,
    programs: &[PathBuf],
    opened: &[&str],
    into: &[&str; 2],
    archive: &mut Archive,
) -> Result<()> {
    let folders = LIBRARIES.map(|folder| tools.join(folder));
    let place = |name: &str| {
        let place = folders.iter().map(|folder| folder.join(name)).find(|place| place.exists());
        place.with_context(|| format!("no {name}"))
    };
    let places = opened.iter().map(|name| place(name)).collect::<Result<Vec<_>>>()?;
    let mut all = libraries::needed(&[programs, &places].concat(), &folders)?;
    all.extend(opened.iter().map(|name| (*name).to_owned()).zip(places));
    for (name, place) in &all {
        let folder = if name.starts_with("ld-linux") { into[1] } else { into[0] };
        archive.file(&format!("{folder}/{name}"), &read(place)?);
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", paths::shown(path)))
}

/// Writes a file under its final name only when it is complete: another run may be booting from it.
pub(super) fn keep(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    fs::create_dir_all(path.parent().unwrap_or(path))
        .and_then(|()| fs::write(&part, contents))
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("cannot write {}", paths::shown(path)))
}

pub(super) fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
