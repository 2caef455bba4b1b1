// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the guest that the user names: an example, a crate's folder, or an ELF file.
//!
//! Anything else is refused before anything is booted, in one line that says what it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian;
use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use serde_json::Value;
use strsim::jaro_winkler;

use super::image;
use crate::host::cargo::BUILD_LIMIT;
use crate::host::steps::{logged, step};
use crate::host::{children, paths};

/// The owner of the ELF notes that Xen's builders read.
const XEN: &[u8] = b"Xen";

/// A guest that can be booted.
#[derive(Debug)]
pub struct Program {
    /// The name of its file, for the user and for xl.
    pub name: String,
    /// Its ELF file.
    pub elf: PathBuf,
}

/// Finds a guest, and builds it if need be.
///
/// # Errors
/// If there is no such guest, it doesn't build, or it isn't a Xen guest; the message says which.
pub fn find(what: &str) -> Result<Program> {
    let path = paths::given(what);
    let known = image::names();
    let elf = match () {
        () if known.iter().any(|name| name == what) => image::guest(what)?,
        () if path.join("Cargo.toml").exists() => built(&path)?,
        () if path.is_dir() => bail!("{what} is a folder without a Cargo.toml"),
        () if path.exists() => path,
        () => bail!("no guest `{what}`: neither a file nor a crate; {}", instead(what, &known)),
    };
    check(&elf).with_context(|| format!("{what} can't be booted"))?;
    let name = elf.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Program { name, elf })
}

/// A hint for an unknown name: similar names, or the examples.
fn instead(what: &str, known: &[String]) -> String {
    let near: Vec<&str> =
        known.iter().map(String::as_str).filter(|name| jaro_winkler(what, name) > 0.8).collect();
    match near[..] {
        [] => format!("the examples are {}", image::examples().join(", ")),
        _ => format!("did you mean {}?", near.join(" or ")),
    }
}

/// Builds a crate by its own configuration, and returns the only program it builds.
fn built(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let said = step(&format!("build {name}"), || {
        let mut cargo = children::command("cargo");
        cargo.args(["build", "--release", "--message-format=json-render-diagnostics"]);
        cargo.current_dir(folder).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        logged("build", cargo, BUILD_LIMIT).or_else(|error| {
            let log = fs::read_to_string(paths::lab().join("build.log")).unwrap_or_default();
            ensure!(
                !log.contains("undefined symbol: grantkit_main"),
                "it has no entry point: add `grantkit::entry!(main);` to its src/main.rs"
            );
            Err(error)
        })
    })?;
    let mut programs = executables(&said);
    match (programs.pop(), programs.is_empty()) {
        (Some(program), true) => Ok(program),
        (None, _) => bail!("{name} builds no program: it has no src/main.rs and no [[bin]]"),
        (Some(one), false) => bail!(
            "{name} builds several programs: give the path of one ELF file, such as {}",
            paths::shown(&one)
        ),
    }
}

/// The programs that cargo reports as built.
fn executables(said: &str) -> Vec<PathBuf> {
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = artifacts.filter_map(|one| one["executable"].as_str().map(PathBuf::from));
    built.collect()
}

/// Checks that a file is a Xen guest.
fn check(elf: &Path) -> Result<()> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", paths::shown(elf)))?;
    match kind(&bytes) {
        Kind::Guest => Ok(()),
        Kind::Linux => bail!("it is a program for Linux; build it for {}", image::TARGET),
        Kind::Other => bail!("it is an ELF file without Xen's notes"),
        Kind::None => bail!("it is not a 64-bit ELF file"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Guest,
    Linux,
    Other,
    None,
}

fn kind(bytes: &[u8]) -> Kind {
    let Ok(header) = FileHeader64::<LittleEndian>::parse(bytes) else { return Kind::None };
    let segments = header.endian().and_then(|endian| {
        let segments = header.program_headers(endian, bytes)?;
        Ok((endian, segments))
    });
    let Ok((endian, segments)) = segments else { return Kind::None };
    let has_note = |segment: &object::elf::ProgramHeader64<LittleEndian>| {
        let notes = segment.notes(endian, bytes).ok().flatten();
        notes.is_some_and(|mut notes| {
            std::iter::from_fn(|| notes.next().ok().flatten()).any(|note| note.name() == XEN)
        })
    };
    if segments.iter().any(has_note) {
        Kind::Guest
    } else if segments.iter().any(|segment| segment.p_type(endian) == PT_INTERP) {
        Kind::Linux
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_the_artifacts_with_an_executable() {
        let said = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","executable":"/a b/guest"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executables(said), [PathBuf::from("/a b/guest")]);
    }

    #[test]
    fn this_test_is_a_linux_program_and_a_script_is_no_elf_file() {
        let this = std::env::current_exe().unwrap();
        assert_eq!(kind(&fs::read(this).unwrap()), Kind::Linux);
        assert_eq!(kind(b"#!/bin/bash"), Kind::None);
        let error = check(&paths::root().join("run.sh")).unwrap_err();
        assert_eq!(error.to_string(), "it is not a 64-bit ELF file");
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_hint() {
        let error = find("no-such-guest").unwrap_err().to_string();
        assert!(error.starts_with("no guest `no-such-guest`: "), "{error}");
        assert!(error.ends_with("; the examples are hello, share"), "{error}");
        let error = find("helo").unwrap_err().to_string();
        assert!(error.ends_with("; did you mean hello?"), "{error}");
    }
}
