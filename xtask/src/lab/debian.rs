// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's part of the lab: Linux, and Xen's tools with the libraries that they need.
//!
//! Packages are unpacked and kept, less what nobody needs of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt;
use super::packages::{self, find};

/// Debian's Linux, of whose modules only Xen's are kept: a few hundred MB less.
pub fn linux() -> Result<PathBuf> {
    let is_image = |name: &str| {
        name.starts_with("linux-image-") && name.ends_with("-amd64") && name.contains('.')
    };
    packages::depended("linux-image-amd64", is_image, &|root| {
        let modules = find(&root.join("lib/modules"), |_| true).context("no modules")?;
        let xen = modules.join("kernel/drivers/xen");
        fs::rename(xen, root.join("xen-modules")).context("no modules of Xen's")?;
        fs::remove_dir_all(root.join("lib"))?;
        unpack(&root.join("boot"))
    })
}

/// Unpacks Linux here and once: under emulation Xen takes seconds for it at each boot.
fn unpack(boot: &Path) -> Result<()> {
    let packed = find(boot, |name| name.starts_with("vmlinuz-")).context("no boot/vmlinuz-*")?;
    let image = fs::read(&packed)?;
    let Some(payload) = xz_payload(&image) else { return Ok(()) }; // Xen knows other packers, too
    apt::installed("xz", &["xz-utils"])?;
    let file = boot.join("vmlinux.xz");
    fs::write(&file, payload)?;
    packages::run("xz", &["-d".as_ref(), file.as_ref()], "Linux")?;
    Ok(fs::remove_file(packed)?)
}

/// The kernel in a boot image, if xz packed it; what follows its end is no part of it.
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

/// The version of Debian's Xen, and so of its tools, as `4.17`.
pub fn version() -> Result<String> {
    let xen = packages::xen()?;
    let file = xen.file_name().unwrap_or_default().to_string_lossy();
    Ok(file.trim_start_matches("xen-").trim_end_matches("-amd64").to_owned())
}

/// Xen's tools of that version, and the libraries that they depend on, in one folder.
pub fn tools() -> Result<PathBuf> {
    let version = version()?;
    with_libraries(&format!("dom0-tools-{version}"), vec![format!("xen-utils-{version}")])
}

/// OpenSSH, both ends, a shell for it to start, and the libraries that they depend on.
pub fn ssh() -> Result<PathBuf> {
    let names = ["openssh-server", "openssh-client", "dash", "coreutils"];
    with_libraries("dom0-ssh", names.map(str::to_owned).to_vec())
}

/// The folder of packages and all libraries that they depend on.
fn with_libraries(folder: &str, mut names: Vec<String>) -> Result<PathBuf> {
    if let Some(folder) = packages::in_cache(folder) {
        return Ok(folder);
    }
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
    packages::together(folder, &names, &|_| Ok(()))
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
