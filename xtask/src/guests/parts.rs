// SPDX-License-Identifier: MIT OR Apache-2.0
//! What takes up an image's memory: code by crate, and the rest.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::image;
use crate::panics::elf::Image;

/// Crates with fewer bytes than this are lumped together.
const SMALL: u64 = 2048;
/// Crates whose generic code counts as that of the crate that instantiates it.
const LENT: [&str; 2] = ["core", "alloc"];

/// The parts and their bytes of memory, largest first. They add up to what the image takes.
pub fn of(file: &Path) -> Result<Vec<(String, f64)>> {
    let image = Image::read(file)?;
    let mut parts: BTreeMap<String, u64> = BTreeMap::new();
    for function in image.functions.values() {
        *parts.entry(owner(&function.name)).or_default() += function.len;
    }
    let small: u64 = parts.values().filter(|bytes| **bytes < SMALL).sum();
    parts.retain(|_, bytes| *bytes >= SMALL);
    *parts.entry("others".into()).or_default() += small;
    let data = image.sections.iter().filter(|section| !section.code);
    parts.insert("constants".into(), data.map(|section| section.bytes.len() as u64).sum());
    let rest = image::takes(file)?.saturating_sub(parts.values().sum());
    parts.insert("zeroed, gaps".into(), rest);
    let mut parts: Vec<(String, f64)> =
        parts.into_iter().map(|(name, bytes)| (name, bytes as f64)).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(parts)
}

/// The crate that a function belongs to, by its mangled name (rustc's v0 scheme).
fn owner(name: &str) -> String {
    let crates = crates(name);
    let own = crates.iter().find(|of| !LENT.contains(&of.as_str()) && !of.starts_with("embassy"));
    match own.or(crates.first()) {
        Some(name) => name.clone(),
        None if name.starts_with("OUTLINED") => "outlined".into(),
        None => "others".into(),
    }
}

/// The crates in a mangled name, in order: `Cs<disambiguator>_<length><name>`.
fn crates(name: &str) -> Vec<String> {
    let Some(mangled) = name.strip_prefix("_R") else { return Vec::new() };
    let named = mangled.match_indices("Cs").filter_map(|(at, _)| {
        let (hash, rest) = mangled[at + 2..].split_once('_')?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let len = rest[..digits].parse::<usize>().ok()?;
        let name = rest[digits..].trim_start_matches('_').get(..len)?;
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = hash.chars().all(|c| c.is_ascii_alphanumeric()) && name.chars().all(is_name);
        fits.then(|| name.to_owned())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_the_crate_it_was_written_for() {
        for (name, of) in [
            (
                "_RNvMNtCsalDV3mvZBDU_7drivers8gntallocINtB2_8GntAllocNtNtCskvZgsJySQBr_8grantkit",
                "drivers",
            ),
            (
                "_RNvXs0_NtCsdPpPzqfcyz2_15embassy_futures6selectINtB5_6SelectNCCshA3brHRJAvB_5tasks",
                "tasks",
            ),
            ("_RNvNtCsg3SjgaGcPXb_4core3fmt5write", "core"),
            ("OUTLINED_FUNCTION_7", "outlined"),
            ("memcpy", "others"),
        ] {
            assert_eq!(owner(name), of, "{name}");
        }
    }
}
