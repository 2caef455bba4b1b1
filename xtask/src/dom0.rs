//! The lab's dom0: Debian's Linux, and an initramfs of a few MB with Xen's daemons, xl, our agent and the guests.
//!
//! Programs and libraries come from unpacked packages, never from this machine. Only what is reached from the programs
//! goes in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cpio::Archive;
use crate::packages::{self, find};
use crate::steps::{self, step};
use crate::{apt, image, libraries, paths};

/// What runs in dom0, from the package of Xen's tools.
const PROGRAMS: [&str; 6] =
    ["xenstored", "oxenstored", "xen-init-dom0", "xenconsoled", "xenconsole", "xl"];
/// Libraries that a program opens by itself: xl ends without it when a thread of its ends.
const OPENED: [&str; 1] = ["libgcc_s.so.1"];
/// Where libraries lie in Debian's packages.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
/// The agent's target: linked statically, so that it runs beside any C library.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "target.x86_64-unknown-linux-gnu.rustflags=['-Ctarget-feature=+crt-static']";

/// The files that dom0 is booted from, side by side in one folder.
pub struct Dom0 {
    /// The folder.
    pub folder: PathBuf,
    /// Linux's command line, as far as the files decide it.
    pub arguments: String,
}

impl Dom0 {
    /// Linux's name in the folder.
    pub const LINUX: &str = "vmlinuz";
    /// The initramfs's.
    pub const INITRAMFS: &str = "dom0.cpio";
}

/// Puts dom0 together; `guests` are the files that its programs find in their working directory.
pub fn prepare(guests: &[PathBuf]) -> Result<Dom0> {
    let agent = step("build agent", agent)?;
    step("prepare dom0", || {
        let (linux, tools) = (linux()?, tools()?);
        let bin = find(&tools.join("usr/lib"), |name| name.starts_with("xen-"))
            .context("no usr/lib/xen-* among the tools")?
            .join("bin");
        let mut archive = Archive::default();
        archive.file("init", &read(&agent)?);
        for folder in ["etc/xen", "var/lock", "var/lib/xen", "var/lib/xenstored", "tmp"] {
            archive.folder(folder);
        }
        archive.file("etc/xen/xl.conf", b"autoballoon=\"off\"\n");
        modules(&linux, &mut archive)?;
        let programs = programs(&tools, &bin, &mut archive)?;
        shared(&tools, &programs, &mut archive)?;
        for guest in guests {
            archive.file(&format!("guests/{}", name(guest)), &read(guest)?);
        }
        let kernel = find(&linux.join("boot"), |name| name.starts_with("vmlinuz-"))
            .context("no boot/vmlinuz-* in Debian's Linux")?;
        let folder = paths::target().join("dom0");
        fs::create_dir_all(&folder)?;
        keep(&folder.join(Dom0::LINUX), &read(&kernel)?)?;
        keep(&folder.join(Dom0::INITRAMFS), &archive.finish())?;
        let path = bin.strip_prefix(&tools)?.display();
        Ok(Dom0 { folder, arguments: format!("PATH=/{path}") })
    })
}

/// The program that is dom0's first process.
fn agent() -> Result<PathBuf> {
    let mut cargo = image::cargo_command(&["build", "--release", "-p", "dom0", "--bin", "agent"]);
    cargo.args(["--target", TARGET, "--config", STATIC, "--config", "profile.release.strip=true"]);
    steps::logged("build-agent", cargo, Duration::from_secs(1200))?;
    Ok(paths::target().join(TARGET).join("release/agent"))
}

/// Debian's Linux, of whose modules only Xen's are kept: a few hundred MB less.
fn linux() -> Result<PathBuf> {
    let is_image = |name: &str| {
        name.starts_with("linux-image-") && name.ends_with("-amd64") && name.contains('.')
    };
    packages::depended("linux-image-amd64", is_image, &|root| {
        let modules = find(&root.join("lib/modules"), |_| true).context("no modules")?;
        let xen = modules.join("kernel/drivers/xen");
        fs::rename(xen, root.join("xen-modules")).context("no modules of Xen's")?;
        Ok(fs::remove_dir_all(root.join("lib"))?)
    })
}

/// Xen's tools of the hypervisor's version, and the libraries that they depend on, in one folder.
fn tools() -> Result<PathBuf> {
    let xen = packages::xen()?;
    let version = name(&xen).trim_start_matches("xen-").trim_end_matches("-amd64").to_owned();
    let folder = format!("dom0-tools-{version}");
    if let Some(folder) = packages::in_cache(&folder) {
        return Ok(folder);
    }
    let mut names = vec![format!("xen-utils-{version}")];
    let mut new = names.clone();
    while !new.is_empty() {
        let mut more = apt::depends(&new)?;
        more.sort();
        more.dedup();
        more.retain(|name| {
            (name.starts_with("lib") || name.starts_with("zlib")) && !names.contains(name)
        });
        names.extend(more.iter().cloned());
        new = more;
    }
    packages::together(&folder, &names, &|_| Ok(()))
}

fn modules(linux: &Path, archive: &mut Archive) -> Result<()> {
    let folder = linux.join("xen-modules");
    for name in ["xen-privcmd", "xen-evtchn", "xen-gntalloc", "xen-gntdev", "xenfs/xenfs"] {
        let file = folder.join(format!("{name}.ko"));
        archive.file(&format!("modules/{}", self::name(&file)), &read(&file)?);
    }
    Ok(())
}

fn programs(tools: &Path, bin: &Path, archive: &mut Archive) -> Result<Vec<PathBuf>> {
    let programs: Vec<PathBuf> = PROGRAMS.iter().map(|program| bin.join(program)).collect();
    for program in &programs {
        archive.file(&program.strip_prefix(tools)?.to_string_lossy(), &read(program)?);
    }
    Ok(programs)
}

fn shared(tools: &Path, programs: &[PathBuf], archive: &mut Archive) -> Result<()> {
    let folders = LIBRARIES.map(|folder| tools.join(folder));
    let mut all = libraries::needed(programs, &folders)?;
    for name in OPENED {
        let place = folders.iter().map(|folder| folder.join(name)).find(|place| place.exists());
        all.insert(name.to_owned(), place.with_context(|| format!("no {name}"))?);
    }
    for (name, place) in &all {
        let folder = if name.starts_with("ld-linux") { "lib64" } else { LIBRARIES[0] };
        archive.file(&format!("{folder}/{name}"), &read(place)?);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", paths::shown(path)))
}

/// Writes a file under its name only when it is whole: another run may be booting from it.
fn keep(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    fs::write(&part, contents)
        .and_then(|()| fs::rename(&part, path))
        .with_context(|| format!("cannot write {}", paths::shown(path)))
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
