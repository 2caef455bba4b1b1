// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the shared libraries that programs need, directly and indirectly.
//!
//! The names come from the ELF files. A library found in no folder is an error that names the file
//! that needs it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use object::LittleEndian;
use object::elf::{DT_NEEDED, Dyn64, FileHeader64};
use object::read::elf::{Dyn, FileHeader};

/// Returns the names and paths of all libraries that `programs` need, found in `folders`.
pub fn needed(programs: &[PathBuf], folders: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut todo = programs.to_vec();
    while let Some(file) = todo.pop() {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let names =
            names(&bytes).with_context(|| format!("{} is not an ELF file", file.display()))?;
        for name in names {
            let Entry::Vacant(new) = found.entry(name) else { continue };
            let place = folders.iter().map(|folder| folder.join(new.key())).find(|p| p.exists());
            let place = place.with_context(|| wanted(&file, new.key()))?;
            todo.push(place.clone());
            new.insert(place);
        }
    }
    Ok(found)
}

fn wanted(file: &Path, name: &str) -> String {
    let who = file.file_name().unwrap_or_default().display();
    format!("{who} needs {name}, which no unpacked package has")
}

/// The NEEDED entries of an ELF file.
fn names(elf: &[u8]) -> Result<Vec<String>> {
    let header = FileHeader64::<LittleEndian>::parse(elf)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, elf)?;
    let Some((entries, strings)) = sections.dynamic(endian, elf)? else { return Ok(Vec::new()) };
    let strings = sections.strings(endian, elf, strings)?;
    let needed = entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED));
    let name = |entry: &Dyn64<LittleEndian>| {
        let name = entry.val32(endian).and_then(|at| strings.get(at).ok());
        let name = name.context("a library's name is outside the file")?;
        Ok(String::from_utf8_lossy(name).into_owned())
    };
    needed.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_needs_the_c_library() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(names(&own).unwrap().iter().any(|name| name == "libc.so.6"));
        assert!(names(b"no ELF").is_err());
    }

    #[test]
    fn a_missing_library_is_named() {
        let own = std::env::current_exe().unwrap();
        let error = needed(&[own], &[]).unwrap_err().to_string();
        assert!(error.contains(" needs lib") && error.contains(".so."), "{error}");
    }
}
