// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guests' ELF files, and `target/xen`: the image and its xl configurations, side by side.
//!
//! Files keep their symbol table, because backtraces take names from it, but no debug information.
//! The image, the smallest example and the lab's guests, which contain their tests, have a limit
//! each of how much memory they may take; larger ones are refused.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::host::steps::{say, step};
use crate::host::{cargo, paths};

/// The one target that guests are built for.
pub const TARGET: &str = "x86_64-unknown-none";
/// How much of its memory the image may take, in KiB: just above what it takes. 16 are the page
/// tables and stack that a PVH guest starts with, and about 10 its code.
const LIMIT_KIB: u64 = 299;
/// How much the smallest example may take, in KiB.
const HELLO_LIMIT_KIB: u64 = 94;
/// How much a lab guest may take, in KiB.
const TRIAL_LIMIT_KIB: u64 = 384;

/// Where the examples are.
const EXAMPLES: &str = "kernel/examples";

/// Cargo arguments that select the image's kernel.
const KERNEL: [&str; 4] = ["-p", "image", "--bin", "grantkit"];
/// Cargo arguments that keep the symbol table but strip debug information.
const STRIP: &[&str] = &["--config", "profile.release.strip='debuginfo'"];

/// `./run.sh build`
pub fn build() -> Result<()> {
    let built = kernel()?;
    step("image", || {
        let folder = paths::image();
        assemble(paths::root(), &built, &folder)?;
        let shown = paths::shown(&folder);
        say(&format!("        {shown}: the kernel and its xl configurations"));
        Ok(())
    })
}

/// Builds the image's kernel.
pub fn kernel() -> Result<PathBuf> {
    guest_of("grantkit", "release", &KERNEL)
}

/// Builds the kernel from sources in another folder, into another target folder and with another
/// Cargo home.
pub fn kernel_elsewhere(place: &cargo::Place) -> Result<PathBuf> {
    cargo::release_in(place, "build-elsewhere", TARGET, &[&KERNEL, STRIP].concat())?;
    Ok(place.target.join(TARGET).join("release/grantkit"))
}

/// Copies a kernel and the sources' xl configurations into `folder`.
pub fn assemble(root: &Path, kernel: &Path, folder: &Path) -> Result<()> {
    let shown = paths::shown(folder);
    fs::create_dir_all(folder).with_context(|| format!("cannot create {shown}"))?;
    copy(kernel, folder)?;
    for entry in fs::read_dir(root.join("xen-config")).context("no folder xen-config")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "cfg") {
            copy(&path, folder)?;
        }
    }
    Ok(())
}

/// The files that `build` makes.
pub fn files() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(paths::image()).context("there is no image")?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The names of the repository's guests: its examples, and the lab's trials.
pub fn names() -> Vec<String> {
    programs(&[EXAMPLES, "lab/trials/src/bin"])
}

/// The names of the examples.
pub fn examples() -> Vec<String> {
    programs(&[EXAMPLES])
}

fn programs(folders: &[&str]) -> Vec<String> {
    let files = folders.iter().filter_map(|folder| fs::read_dir(paths::root().join(folder)).ok());
    let stem = |file: PathBuf| Some(file.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> =
        files.flatten().flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort();
    names
}

/// Builds a guest by name: one of lab/trials, a service, or an example of the crate `grantkit`.
pub fn guest(name: &str) -> Result<PathBuf> {
    let service = paths::root().join("services").join(name);
    if service.join("Cargo.lock").exists() {
        // A workspace of its own.
        let (manifest, target) = (service.join("Cargo.toml"), paths::target());
        let [manifest, target] = [manifest.to_string_lossy(), target.to_string_lossy()];
        let which = ["--locked", "--manifest-path", &manifest, "--target-dir", &target];
        return guest_of(name, "release", &which);
    }
    if service.exists() {
        return guest_of(name, "release", &["-p", name]);
    }
    let trial = paths::root().join("lab/trials/src/bin").join(name).with_extension("rs");
    if trial.exists() {
        guest_of(name, "release", &["-p", "trials", "--bin", name])
    } else {
        guest_of(name, "release/examples", &["-p", "grantkit", "--example", name])
    }
}

/// Builds a guest of lab/trials the way an application with hot paths would be: itself,
/// `drivers` and `vchan` optimised for speed.
pub fn fast_guest(name: &str) -> Result<PathBuf> {
    let fast = ["drivers", "vchan", "trials"];
    let fast = fast.map(|of| format!("profile.release.package.{of}.opt-level=3"));
    optimised(name, &fast)
}

/// Builds one the way an application would be that lives on short round trips: all of it optimised
/// for speed, with the kernel, which runs between an event and its waiter.
pub fn fastest_guest(name: &str) -> Result<PathBuf> {
    optimised(name, &["profile.release.opt-level=3".to_owned()])
}

fn optimised(name: &str, settings: &[String]) -> Result<PathBuf> {
    // What a profile tells functions by, those that were inlined, too.
    let lines = "profile.release.debug='limited'".to_owned();
    let settings = settings.iter().chain([&lines]).flat_map(|setting| ["--config", setting]);
    let which: Vec<&str> = ["-p", "trials", "--bin", name].into_iter().chain(settings).collect();
    step(&format!("build {name} for speed"), || {
        cargo::release_for_speed("build", TARGET, &which)?;
        let built = paths::target().join(TARGET).join("release").join(name);
        check(&built, TRIAL_LIMIT_KIB)?;
        Ok(built)
    })
}

/// Builds what the cargo arguments `which` select, which cargo puts into `folder`; fails if it is
/// too large.
fn guest_of(name: &str, folder: &str, which: &[&str]) -> Result<PathBuf> {
    step(&format!("build {name}"), || {
        cargo::release("build", TARGET, &[which, STRIP].concat())?;
        let built = paths::target().join(TARGET).join(folder).join(name);
        check(&built, limit(name))?;
        Ok(built)
    })
}

/// Builds the image with the shell's channel commands. As yet only the lab uses them: they don't
/// fit into the normal image's limit.
pub fn with_channels() -> Result<PathBuf> {
    let which = ["-p", "image", "--bin", "grantkit", "--features", "channels"];
    step("build grantkit with channels", || {
        cargo::release("build", TARGET, &[&which[..], STRIP].concat())?;
        let built = paths::target().join(TARGET).join("release").join("grantkit");
        check(&built, TRIAL_LIMIT_KIB)?;
        Ok(built)
    })
}

fn copy(from: &Path, folder: &Path) -> Result<()> {
    let to = folder.join(from.file_name().unwrap_or_default());
    fs::copy(from, &to).with_context(|| format!("cannot write {}", paths::shown(&to)))?;
    Ok(())
}

/// How much a guest may take, in KiB.
fn limit(name: &str) -> u64 {
    match name {
        "grantkit" => LIMIT_KIB,
        "hello" => HELLO_LIMIT_KIB,
        _ => TRIAL_LIMIT_KIB,
    }
}

fn check(elf: &Path, limit: u64) -> Result<()> {
    let kib = takes(elf)?.div_ceil(1024);
    say(&format!("        {}: {kib} KiB of memory", elf.file_name().unwrap_or_default().display()));
    if kib > limit {
        bail!("it takes {kib} KiB of memory, more than {limit}");
    }
    Ok(())
}

/// The number of bytes of memory that an ELF file takes.
pub fn takes(elf: &Path) -> Result<u64> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", paths::shown(elf)))?;
    memory(&bytes).with_context(|| format!("{} is not a 64-bit ELF file", paths::shown(elf)))
}

/// The sum of all PT_LOAD segments' sizes in memory; `None` if this is no little-endian 64-bit ELF
/// file.
fn memory(elf: &[u8]) -> Option<u64> {
    let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, elf).ok()?;
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    loaded.map(|segment| segment.p_memsz(endian)).try_fold(0, u64::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and one program header per (type, size in memory).
    fn elf(segments: &[(u32, u64)]) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56 * segments.len()];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[0x20] = 64;
        elf[0x36] = 56;
        elf[0x38] = u8::try_from(segments.len()).unwrap();
        for (header, (kind, size)) in elf[64..].chunks_mut(56).zip(segments) {
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[0x28..0x30].copy_from_slice(&size.to_le_bytes());
        }
        elf
    }

    #[test]
    fn only_loaded_segments_count() {
        assert_eq!(memory(&elf(&[(1, 0x1234), (4, 99), (1, 0x10_0000)])), Some(0x10_1234));
        assert_eq!(memory(&elf(&[])), Some(0));
    }

    #[test]
    fn a_damaged_file_has_no_size() {
        let whole = elf(&[(1, 1), (1, 2)]);
        assert_eq!(memory(&whole[..whole.len() - 20]), None);
        assert_eq!(memory(b"MZ"), None);
        assert_eq!(memory(&elf(&[(1, u64::MAX), (1, 1)])), None);
    }
}
