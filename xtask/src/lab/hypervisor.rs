// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor that the user gives as a file.
//!
//! Refuses, in one line, a file that QEMU can't boot as Xen, and a Xen that dom0's tools don't
//! match.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::console::Console;
use super::packages;
use super::qemu::{self, Hardware};
use crate::host::children::{Child, Event};
use crate::host::paths;

/// How far into a file a multiboot loader looks for the header, in bytes, and the header's first
/// word.
const HEADER: usize = 8192;
const MAGIC: u32 = 0x1bad_b002;
/// The prefix of Xen's lines, which every Xen image contains.
const MARK: &[u8] = b"(XEN) ";
/// How long it may take to print its version.
const LIMIT: Duration = Duration::from_secs(30);

/// Unpacks and checks the image that `--xen` names, and returns the unpacked file.
pub fn given(file: &Path) -> Result<PathBuf> {
    let shown = file.display();
    let kind = fs::metadata(file).with_context(|| format!("--xen {shown}"))?;
    ensure!(kind.is_file(), "--xen {shown}: it is not a file");
    let bytes = fs::read(file).with_context(|| format!("--xen {shown}"))?;
    // Named by its contents, so that different images get different files.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let name = format!("xen-{:016x}", hasher.finish());
    let folder = paths::target().join("xen-given");
    let part = folder.join(format!("{name}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    if bytes.starts_with(b"\x1f\x8b") {
        let packed = part.with_extension("gz");
        fs::write(&packed, &bytes)?;
        let unpack = packages::run("gunzip", &["-f".as_ref(), packed.as_ref()], "it");
        let _ = fs::remove_file(&packed);
        ensure!(unpack.is_ok(), "--xen {shown}: gunzip can't unpack it");
    } else {
        fs::write(&part, &bytes)?;
    }
    if let Some(why) = refused(&fs::read(&part)?) {
        fs::remove_file(&part)?;
        bail!("--xen {shown}: {why}");
    }
    let xen = folder.join(name);
    fs::rename(&part, &xen)?;
    Ok(xen)
}

/// Why QEMU can't boot this as Xen, if it can't.
fn refused(image: &[u8]) -> Option<&'static str> {
    let half = |at: usize| Some(u16::from_le_bytes(image.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?));
    // Checksum, flags and magic number add up to 0.
    let header = |at: usize| {
        let sum = word(at + 4)?.wrapping_add(word(at + 8)?).wrapping_add(MAGIC);
        (word(at)? == MAGIC && sum == 0).then_some(())
    };
    if image.get(56..60) == Some(b"ARM\x64") {
        return Some("it is for another machine: AArch64");
    }
    if image.starts_with(b"MZ") {
        return Some("it is an EFI or Linux image; QEMU boots Xen's ELF file, boot/xen-*.gz");
    }
    if !image.starts_with(b"\x7fELF") {
        return Some("it is not an ELF file");
    }
    match half(18) {
        Some(3 | 62) => {}
        Some(183) => return Some("it is for another machine: AArch64"),
        _ => return Some("it is for another machine, not x86"),
    }
    if !image.windows(MARK.len()).any(|bytes| bytes == MARK) {
        return Some("it is not a Xen hypervisor");
    }
    if image.get(4) != Some(&1) || !(0..HEADER).step_by(4).any(|at| header(at).is_some()) {
        return Some("QEMU can't boot this form of Xen, only the ELF file in boot/xen-*.gz");
    }
    None
}

/// Checks that dom0's tools of version `tools` can talk to the hypervisor, which is booted to learn
/// its version.
pub fn suits(xen: &Path, tools: &str) -> Result<()> {
    let version = version(xen)?;
    ensure!(
        version.split(['.', '-']).take(2).eq(tools.split('.')),
        "dom0's tools are for Xen {tools}, but --xen is {version}: only the tiers in dom0's place \
         (smoke, model) can run on it"
    );
    Ok(())
}

/// Boots a hypervisor without any domain; it prints its version and ends at once.
fn version(xen: &Path) -> Result<String> {
    let mut machine = qemu::machine(&Hardware::default(), xen, "");
    machine.args(["-serial", "stdio"]).stdin(Stdio::null());
    let (mut child, mut console) = (Child::start(machine)?, Console::default());
    let end = Instant::now() + LIMIT;
    while let Event::Output(bytes) = child.next(end)? {
        console.feed(&bytes);
        let said = console.xen();
        if let Some(rest) = said.iter().find_map(|line| line.strip_prefix("Xen version ")) {
            return Ok(rest.split(' ').next().unwrap_or_default().to_owned());
        }
    }
    bail!("--xen does not boot: it never printed its version")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with just the parts that are checked.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 4096];
        image[..5].copy_from_slice(b"\x7fELF\x01");
        image[18] = 3;
        image[0x80..0x84].copy_from_slice(&MAGIC.to_le_bytes());
        image[0x84..0x88].copy_from_slice(&3_u32.to_le_bytes());
        image[0x88..0x8c].copy_from_slice(&0_u32.wrapping_sub(MAGIC + 3).to_le_bytes());
        image.extend_from_slice(MARK);
        image
    }

    #[test]
    fn only_images_that_qemu_boots_as_xen_are_accepted() {
        assert_eq!(refused(&image()), None);
        let changed = |at: usize, bytes: &[u8]| {
            let mut image = image();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            refused(&image).unwrap()
        };
        assert!(changed(0, b"MZ").contains("EFI or Linux"));
        assert!(changed(0, b"#!/b").contains("not an ELF"));
        assert!(changed(56, b"ARM\x64").contains("AArch64"));
        assert!(changed(18, &[183]).contains("AArch64"));
        assert!(changed(18, &[243]).contains("another machine"));
        assert!(changed(4, &[2]).contains("QEMU can't boot"));
        assert!(changed(0x88, &[0]).contains("QEMU can't boot"));
        assert!(changed(4096, b"Linux").contains("not a Xen"));
        for length in 0..=image().len() - 1 {
            assert!(refused(&image()[..length]).is_some(), "{length}");
        }
    }
}
