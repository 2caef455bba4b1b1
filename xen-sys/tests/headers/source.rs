// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the public items in this crate's source, relying on rustfmt's layout.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns `CONSTANT`, `Type`, `Type::CONSTANT` and `Type.field`, without padding.
pub fn public_items() -> BTreeSet<String> {
    let mut items = BTreeSet::new();
    scan_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut items);
    items
}

fn scan_directory(directory: &Path, items: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the source is there") {
        let path = entry.expect("the source is readable").path();
        if path.is_dir() {
            scan_directory(&path, items);
        } else if !path.ends_with("macros.rs") {
            scan_file(&fs::read_to_string(&path).expect("the source is text"), items);
        }
    }
}

fn scan_file(text: &str, items: &mut BTreeSet<String>) {
    let mut owner = String::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(rest) = trimmed.strip_prefix("pub struct ") {
            owner = name(rest);
            // A newtype or a set of flags is compared by its constants.
            if line.ends_with('{') && indent == 0 {
                items.insert(owner.clone());
            }
        } else if let (0, Some(rest)) = (indent, line.strip_prefix("impl ")) {
            owner = name(rest);
        } else if let Some(rest) = trimmed.strip_prefix("pub const ") {
            match indent {
                _ if rest.starts_with("fn ") => false,
                0 => items.insert(name(rest)),
                _ => items.insert(format!("{owner}::{}", name(rest))),
            };
        } else if let (4, Some(rest)) = (indent, trimmed.strip_prefix("pub ")) {
            if !rest.starts_with("_pad") && !rest.starts_with("fn ") {
                items.insert(format!("{owner}.{}", name(rest)));
            }
        } else if let (8, Some((left, _))) = (indent, trimmed.split_once(" = ")) {
            let constant = left.strip_prefix("const ").unwrap_or(left);
            if constant != "_" && name(constant) == constant.to_uppercase() {
                items.insert(format!("{owner}::{constant}"));
            }
        }
    }
}

/// Returns the identifier at the start.
fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
