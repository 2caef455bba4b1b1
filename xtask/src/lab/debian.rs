// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of the lab that come from Debian: Xen, Linux, Xen's tools with the libraries they
//! need, and a later QEMU.
//!
//! Packages are unpacked and kept, without what nobody needs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt::{self, Release};
use super::packages::{self, find};
use crate::host::paths;

/// A release's hypervisor, ready for QEMU to load: the cached one, or else the one that Debian's
/// xen-system depends on.
pub fn xen(release: Release) -> Result<PathBuf> {
    let is_hypervisor =
        |name: &str| name.starts_with("xen-hypervisor-") && name.ends_with("-amd64");
    let folder = packages::depended(release, "xen-system-amd64", is_hypervisor, &|root| {
        let efi = find(&root.join("boot"), |file| file.ends_with(".efi"));
        efi.map_or(Ok(()), |efi| Ok(fs::remove_file(efi)?))
    })?;
    if release == Release::OWN {
        packages::tell(&folder);
    }
    let boot = folder.join("boot");
    find(&boot, |file| file.starts_with("xen-") && file.ends_with("-amd64"))
        .with_context(|| format!("no xen-*-amd64 in {}", paths::shown(&boot)))
}

/// The list of the symbols of this machine's Debian's Xen, of the very version that is unpacked.
pub fn xen_symbols() -> Result<PathBuf> {
    let xen = xen(Release::OWN)?;
    let folder = xen.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default();
    let folder = folder.to_string_lossy();
    let (package, version) = folder.split_once('_').context("Xen of no version")?;
    let name = format!("{package}-dbg");
    let kept = paths::packages().join(format!("{name}_{version}"));
    if !kept.exists() {
        let exact = format!("{name}={}", version.replace("%3a", ":"));
        packages::together(Release::OWN, &name, &[exact], &|_| Ok(()))?;
    }
    let boot = kept.join("usr/lib/debug/boot");
    find(&boot, |file| file.starts_with("xen-syms-") && file.ends_with(".map"))
        .with_context(|| format!("no xen-syms-*.map in {}", paths::shown(&boot)))
}

/// A release's Linux, with only Xen's modules: that saves a few hundred MB.
pub fn linux(release: Release) -> Result<PathBuf> {
    let is_image = |name: &str| {
        name.starts_with("linux-image-") && name.ends_with("-amd64") && name.contains('.')
    };
    packages::depended(release, "linux-image-amd64", is_image, &|root| {
        let all = ["lib", "usr/lib"].map(|lib| root.join(lib)).into_iter();
        let lib = all.clone().find(|lib| lib.join("modules").exists()).context("no modules")?;
        let modules = find(&lib.join("modules"), |_| true).context("no modules")?;
        let (xen, kept) = (modules.join("kernel/drivers/xen"), root.join("xen-modules"));
        fs::rename(xen, &kept).context("no Xen modules")?;
        fs::remove_dir_all(lib)?;
        unpack_modules(&kept)?;
        unpack(&root.join("boot"))
    })
}

/// Unpacks modules compressed with xz, as Debian 13's are.
fn unpack_modules(folder: &Path) -> Result<()> {
    for folder in [folder, &folder.join("xenfs")] {
        while let Some(packed) = find(folder, |file| file.ends_with(".ko.xz")) {
            apt::installed("xz", &["xz-utils"])?;
            packages::run("xz", &["-d".as_ref(), packed.as_ref()], "modules")?;
        }
    }
    Ok(())
}

/// Unpacks Linux here, once: under emulation it would take Xen seconds at each boot.
fn unpack(boot: &Path) -> Result<()> {
    let packed = find(boot, |name| name.starts_with("vmlinuz-")).context("no boot/vmlinuz-*")?;
    let image = fs::read(&packed)?;
    let Some(payload) = xz_payload(&image) else { return Ok(()) }; // Xen unpacks others itself
    apt::installed("xz", &["xz-utils"])?;
    let file = boot.join("vmlinux.xz");
    fs::write(&file, payload)?;
    packages::run("xz", &["-d".as_ref(), file.as_ref()], "Linux")?;
    Ok(fs::remove_file(packed)?)
}

/// The compressed kernel in a boot image, if it is in xz format, without trailing bytes.
fn xz_payload(image: &[u8]) -> Option<&[u8]> {
    let number = |at: usize| {
        let bytes = image.get(at..at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let setup = 512 * (usize::from(*image.get(0x1f1)?) + 1);
    let start = setup.checked_add(number(0x248)?)?;
    let payload = image.get(start..start.checked_add(number(0x24c)?)?)?;
    let end = payload.windows(2).rposition(|pair| pair == b"YZ")? + 2;
    payload.starts_with(b"\xfd7zXZ\0").then_some(&payload[..end])
}

/// The version of a release's Xen, and thus of its tools, such as `4.17`.
pub fn version(release: Release) -> Result<String> {
    let xen = xen(release)?;
    let file = xen.file_name().unwrap_or_default().to_string_lossy();
    Ok(file.trim_start_matches("xen-").trim_end_matches("-amd64").to_owned())
}

/// A release's Xen tools and the libraries they depend on, in one folder.
pub fn tools(release: Release) -> Result<PathBuf> {
    let version = version(release)?;
    let folder = format!("dom0-tools-{version}");
    if let Some(folder) = packages::in_cache(release, &folder) {
        return Ok(folder);
    }
    let names = packages::with_libraries(release, &[&format!("xen-utils-{version}")])?;
    packages::together(release, &folder, &names, &|_| Ok(()))
}

/// A release's QEMU with its firmware and libraries, in one folder, from which it runs.
pub fn qemu(release: Release) -> Result<PathBuf> {
    const NAME: &str = "qemu-system-x86";
    if let Some(folder) = packages::in_cache(release, NAME) {
        return Ok(folder);
    }
    let firmware = ["qemu-system-data", "qemu-system-common", "seabios"];
    let names = packages::with_libraries(release, &[&[NAME], &firmware[..]].concat())?;
    packages::together(release, NAME, &names, &|_| Ok(()))
}

/// OpenSSH's client and server, a shell for it to start, and the libraries they depend on.
pub fn ssh() -> Result<PathBuf> {
    const FOLDER: &str = "dom0-ssh";
    if let Some(folder) = packages::in_cache(Release::OWN, FOLDER) {
        return Ok(folder);
    }
    let names = ["openssh-server", "openssh-client", "dash", "coreutils"];
    let names = packages::with_libraries(Release::OWN, &names)?;
    packages::together(Release::OWN, FOLDER, &names, &|_| Ok(()))
}

/// curl, and the libraries that it depends on.
pub fn curl() -> Result<PathBuf> {
    const FOLDER: &str = "dom0-curl";
    if let Some(folder) = packages::in_cache(Release::OWN, FOLDER) {
        return Ok(folder);
    }
    let names = packages::with_libraries(Release::OWN, &["curl"])?;
    packages::together(Release::OWN, FOLDER, &names, &|_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_ends_where_xz_ends() {
        let mut image = vec![0; 1024 + 3];
        image[0x1f1] = 1;
        image[0x248] = 3;
        image.extend_from_slice(b"\xfd7zXZ\0YZ packed YZ\x01\x02\x03\x04");
        image[0x24c] = u8::try_from(image.len() - 1027).unwrap();
        assert_eq!(xz_payload(&image), Some(&b"\xfd7zXZ\0YZ packed YZ"[..]));
        image[1027] = 0;
        assert_eq!(xz_payload(&image), None);
        assert_eq!(xz_payload(&image[..1040]), None);
        assert_eq!(xz_payload(b"short"), None);
    }
}
