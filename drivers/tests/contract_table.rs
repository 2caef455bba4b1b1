// SPDX-License-Identifier: MIT OR Apache-2.0
//! docs/contract.md: its tables are narrow, and each row names existing tests.
#![cfg(not(miri))]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates that test the contract.
const CRATES: [&str; 4] = ["drivers", "linux", "xen-sys", "lab/model"];

/// Returns the names of all functions in those crates' sources and tests.
fn functions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["src", "tests"];
    let of = |name| folders.iter().map(|folder| root.join(name).join(folder)).collect::<Vec<_>>();
    let mut directories: Vec<_> = CRATES.into_iter().flat_map(of).collect();
    let mut names = BTreeSet::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let lines = text.lines().filter_map(|line| line.trim().strip_prefix("fn "));
                names.extend(lines.filter_map(|line| Some(line.split_once('(')?.0.to_owned())));
            }
        }
    }
    names
}

/// A table of the contract.
#[derive(Default)]
struct Table {
    heading: String,
    /// Its rows, as cells.
    rows: Vec<Vec<String>>,
    /// The numbered list of tests below it.
    tests: Vec<String>,
}

/// Returns all tables.
fn tables() -> Vec<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract.md");
    let text = fs::read_to_string(path).expect("docs/contract.md is there");
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            tables.push(Table { heading: heading.to_owned(), ..Table::default() });
            continue;
        }
        let Some(table) = tables.last_mut() else {
            continue;
        };
        let numbered = line.starts_with(|first: char| first.is_ascii_digit());
        if let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix('|')) {
            if !row.starts_with('|') {
                table.rows.push(row.split('|').map(|cell| cell.trim().to_owned()).collect());
            }
        } else if numbered {
            table.tests.push(line.to_owned());
        } else if let (Some(last), true) = (table.tests.last_mut(), line.starts_with(' ')) {
            last.push_str(line);
        }
    }
    tables
}

#[test]
fn every_row_names_existing_tests_and_nothing_else() {
    let (functions, mut named, mut rows) = (functions(), BTreeSet::new(), 0);
    for Table { heading, rows: all, tests } in tables() {
        assert_eq!(all.len(), tests.len(), "{heading}: a list of tests for each row");
        for (number, (row, tests)) in (1..).zip(all.iter().zip(&tests)) {
            assert_eq!((row.len(), row[0].as_str()), (4, &*number.to_string()), "{row:?}");
            let list = tests.strip_prefix(&format!("{number}. "));
            let list = list.unwrap_or_else(|| panic!("{heading}: {tests} is not number {number}"));
            for test in list.split(',').map(str::trim) {
                let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
                let name = name.unwrap_or_else(|| panic!("{test} of {row:?} is no name"));
                assert!(functions.contains(name), "{name} of {row:?} is not there");
                named.insert(name.to_owned());
            }
        }
        rows += all.len();
    }
    assert!(rows >= 220, "{rows} rows");
    assert!(named.len() >= 80, "{} tests", named.len());
}

#[test]
fn every_line_fits_a_screen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract.md");
    for line in fs::read_to_string(path).expect("docs/contract.md is there").lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn every_bug_of_either_seed_has_a_row() {
    let rows = tables().into_iter().flat_map(|table| table.rows);
    let known: BTreeSet<_> = rows.map(|row| row[1].clone()).collect();
    for (device, bugs) in [("GD", 24), ("GA", 25)] {
        for number in 1..=bugs {
            assert!(known.contains(&format!("{device}{number}")), "{device}{number}");
        }
    }
}
