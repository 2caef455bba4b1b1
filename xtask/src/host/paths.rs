// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where files are: the repository, and cargo's target directory with the tool's own folders.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR"));
    tool.parent().unwrap_or(tool)
}

/// Cargo's target directory: `target/`, unless the caller's environment moves it.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(moved) => root().join(moved),
        None => root().join("target"),
    }
}

/// The kernel and its xl configurations, ready to be copied to a Xen host.
pub fn image() -> PathBuf {
    target().join("xen")
}

/// Logs of steps and consoles.
pub fn lab() -> PathBuf {
    target().join("lab")
}

/// Unpacked packages, one folder per name and version.
pub fn packages() -> PathBuf {
    target().join("packages")
}

/// Resolves a path that the caller gave, relative to the caller's working directory.
pub fn given(path: &str) -> PathBuf {
    let from = std::env::var_os("GRANTKIT_FROM").map(PathBuf::from);
    from.unwrap_or_else(|| root().to_owned()).join(path)
}

/// A path for display: relative to the repository if it is inside it.
pub fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}
