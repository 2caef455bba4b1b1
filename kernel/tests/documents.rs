// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs shown in the documents are those that the tests compile and boot.

use std::fs;
use std::path::Path;

/// A file of the repository.
fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first program in `document` after `heading`.
fn program<'a>(document: &'a str, heading: &str) -> &'a str {
    let behind = document.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1;
    let program = behind.split_once("```rust").and_then(|(_, at)| at.split_once('\n'));
    program.and_then(|(_, lines)| lines.split_once("```")).expect("a program").0
}

#[test]
fn the_program_of_the_readme_is_the_example_that_boots() {
    let (readme, example) = (text("README.md"), text("kernel/examples/share.rs"));
    // The licence line, and the line that describes the example.
    let (_, lines) = example.split_once('\n').expect("lines");
    let (about, rest) = lines.split_once('\n').expect("lines");
    assert!(about.starts_with("//! What README.md shows"), "{about}");
    assert_eq!(program(&readme, "## A guest of your own"), rest);
}

#[test]
fn neither_guest_of_the_guide_takes_more_than_60_lines() {
    let guide = text("docs/guide.md");
    for guest in ["vault", "reader"] {
        let parts = ["lib", "main"].map(|part| format!("`{guest}/src/{part}.rs`\n"));
        let lines: usize = parts.iter().map(|part| program(&guide, part).lines().count()).sum();
        assert!((20..=60).contains(&lines), "{guest}: {lines} lines");
    }
}
