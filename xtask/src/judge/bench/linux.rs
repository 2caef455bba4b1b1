// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parses what a program on Linux measured in dom0, and adds it to our rows.
//!
//! It is as strict as for our own rows: a missing, duplicate or implausible row, or one for
//! something that we don't measure, is an error.

use std::collections::BTreeMap;

use super::{Key, Row, sane};
use crate::judge::reply::ok_line;

/// Adds what Linux's program printed to our rows of the same operations.
pub fn beside(rows: &mut [Row], lines: &[String]) -> Result<(), String> {
    let mut said = BTreeMap::new();
    for line in lines.iter().filter(|line| line.starts_with("linux ")) {
        let (key, figure) = parse(line).ok_or_else(|| format!("implausible: `{line}`"))?;
        if said.insert(key, figure).is_some() {
            return Err(format!("a second row: `{line}`"));
        }
    }
    let told = ok_line(lines, "linux")?.number("rows").unwrap_or(0);
    if told == 0 || told != said.len() as u64 {
        return Err(format!("{} of Linux's rows arrived of {told}", said.len()));
    }
    for row in rows {
        row.linux = said.remove(&row.key()).or(row.linux);
    }
    match said.into_keys().next() {
        Some((op, n)) => Err(format!("Linux has {op} n={n}, but we don't")),
        None => Ok(()),
    }
}

fn parse(line: &str) -> Option<(Key, f64)> {
    let words = line.split(' ').skip(1).filter_map(|word| word.split_once('='));
    let words: BTreeMap<&str, &str> = words.collect();
    let key = ((*words.get("op")?).to_owned(), words.get("n")?.parse().ok()?);
    let figure = words.get("instr")?.parse().ok()?;
    sane(figure).then_some((key, figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(op: &str) -> Row {
        let (hypercalls, allocations) = (1, 0);
        Row {
            op: op.to_owned(),
            n: 8,
            ours: 1000.0,
            xen: None,
            linux: None,
            hypercalls,
            allocations,
            exact: true,
        }
    }

    fn beside_map(lines: &[&str], told: usize) -> Result<Vec<Option<f64>>, String> {
        let mut rows = [row("map"), row("reserve")];
        let last = format!("ok linux rows={told}");
        let lines: Vec<String> =
            lines.iter().map(|line| (*line).to_owned()).chain([last]).collect();
        beside(&mut rows, &lines).map(|()| rows.map(|row| row.linux).to_vec())
    }

    #[test]
    fn linuxs_figure_is_added_to_ours_of_the_same_operation() {
        let said = "linux op=map n=8 calls=7 instr=5449.250";
        assert_eq!(beside_map(&[said], 1).unwrap(), [Some(5449.25), None]);
    }

    #[test]
    fn a_second_program_adds_to_what_the_first_said() {
        let mut rows = [row("map"), row("reserve")];
        for op in ["map", "reserve"] {
            let said = format!("linux op={op} n=8 calls=7 instr=5449.250");
            beside(&mut rows, &[said, "ok linux rows=1".to_owned()]).unwrap();
        }
        assert_eq!(rows.map(|row| row.linux), [Some(5449.25); 2]);
    }

    #[test]
    fn partial_tables_and_implausible_figures_are_errors() {
        let said = "linux op=map n=8 calls=7 instr=5449.250";
        let bad: [(&[&str], usize); 6] = [
            (&[said], 2),
            (&[said, said], 1),
            (&[], 0),
            (&["linux op=map n=9 calls=7 instr=5449.250"], 1),
            (&["linux op=map n=8 calls=7 instr=0.000"], 1),
            (&["linux op=map n=8 calls=7"], 1),
        ];
        for (lines, told) in bad {
            assert!(beside_map(lines, told).is_err(), "{lines:?}");
        }
        assert!(beside(&mut [row("map")], &[said.to_owned()]).is_err(), "without a last line");
    }
}
