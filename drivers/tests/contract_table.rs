//! docs/contract.md: its tables are complete, and each test that they name is there.
#![cfg(not(miri))]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the contract is tested.
const CRATES: [&str; 4] = ["drivers", "linux", "xen-sys", "lab/model"];

/// The names of all functions in those crates' sources and tests.
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

/// The rows of all tables, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract.md");
    let text = fs::read_to_string(path).expect("docs/contract.md is there");
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect());
    cells.filter(|cells: &Vec<String>| cells.last().is_some_and(|cell| cell != "tests")).collect()
}

#[test]
fn every_row_names_tests_that_are_there_and_nothing_else() {
    let (functions, mut named) = (functions(), BTreeSet::new());
    let rows = rows();
    for row in &rows {
        assert_eq!(row.len(), 5, "{row:?}");
        let tests: Vec<_> = row[4].split(' ').collect();
        for test in tests {
            let name = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
            let name = name.unwrap_or_else(|| panic!("{test} in {row:?} is no name in backticks"));
            assert!(functions.contains(name), "{name} in {row:?} is not there");
            named.insert(name.to_owned());
        }
    }
    assert!(rows.len() >= 100, "{} rows", rows.len());
    assert!(named.len() >= 80, "{} tests", named.len());
}

#[test]
fn every_bug_of_either_seed_has_a_row() {
    let known: BTreeSet<_> = rows().into_iter().map(|row| row[0].clone()).collect();
    for (device, bugs) in [("GD", 24), ("GA", 25)] {
        for number in 1..=bugs {
            assert!(known.contains(&format!("{device}{number}")), "{device}{number}");
        }
    }
}
