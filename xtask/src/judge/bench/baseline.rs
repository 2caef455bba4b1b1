// SPDX-License-Identifier: MIT OR Apache-2.0
//! The baseline: the bench's last accepted figures, kept in `lab/bench.txt`.
//!
//! Hypercalls and allocations must be the same on any versions of Xen, QEMU and rustc, except those
//! of the dearest call: which one that is depends on its instructions. Instructions are compared
//! only on the same versions, and may increase by 1 %; those of two domains by 5 %, and then their
//! hypercalls, too, since Xen's timers decide when each runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Key, Row};

/// By which fraction instructions may differ.
const TOLERANCE: f64 = 0.01;
/// By which fraction instructions and hypercalls of two domains may differ.
const LOOSE: f64 = 0.05;

/// The accepted figures.
#[derive(Debug)]
pub struct Baseline {
    versions: String,
    rows: BTreeMap<Key, [f64; 3]>,
}

/// The differences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// What is worse, or not comparable: each is a failure.
    pub wrong: Vec<String>,
    /// What has changed without being wrong.
    pub other: Vec<String>,
}

fn figures(row: &Row) -> [f64; 3] {
    [row.ours, row.hypercalls as f64, row.allocations as f64]
}

impl Baseline {
    /// Parses a baseline: a line of versions, and one for each row.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let versions = lines.next().ok_or("a baseline without versions")?.to_owned();
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            let op = words.next()?.to_owned();
            let n = words.next()?.parse().ok()?;
            let figures: Vec<f64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
            Some(((op, n), figures.try_into().ok()?))
        };
        let rows = lines.map(|line| row(line).ok_or(format!("not a row of a baseline: `{line}`")));
        Ok(Baseline { versions, rows: rows.collect::<Result<_, _>>()? })
    }

    /// The operations that it has.
    pub fn ops(&self) -> Vec<String> {
        let mut ops: Vec<String> = self.rows.keys().map(|(op, _)| op.clone()).collect();
        ops.dedup();
        ops
    }

    /// Formats these rows as a baseline.
    pub fn write(versions: &str, rows: &[Row]) -> String {
        let mut text = format!(
            "# What ./run.sh bench said: instructions per page, hypercalls and heap allocations of \
             a call.\n{versions}\n"
        );
        for row in rows {
            let [ours, hypercalls, allocations] = figures(row);
            // Writing to a string can't fail.
            let _ = writeln!(text, "{} {} {ours:.3} {hypercalls} {allocations}", row.op, row.n);
        }
        text
    }

    /// Compares these rows, measured on `versions`, with the baseline.
    pub fn compare(&self, versions: &str, rows: &[Row]) -> Moved {
        let mut moved = Moved::default();
        let same = self.versions == versions;
        if !same {
            let was = &self.versions;
            moved.other.push(format!("only counts are compared: {versions}, not {was}"));
        }
        let mut known = self.rows.clone();
        for row in rows {
            let what = format!("{} n={}", row.op, row.n);
            let Some([ours, hypercalls, allocations]) = known.remove(&row.key()) else {
                moved.wrong.push(format!("{what} is new"));
                continue;
            };
            let counts = [(hypercalls, row.hypercalls), (allocations, row.allocations)];
            let counts = counts.into_iter().filter(|_| same || !row.op.ends_with("-dearest"));
            for (name, (was, is)) in ["hypercalls", "allocations"].iter().zip(counts) {
                let free = if row.exact { 0.0 } else { LOOSE };
                if (was - is as f64).abs() > was * free {
                    moved.wrong.push(format!("{what}: {name} {was} -> {is}"));
                }
            }
            let part = row.ours / ours - 1.0;
            let free = if row.exact { TOLERANCE } else { LOOSE };
            if same && part.abs() > free {
                let places = if ours < 10.0 { 2 } else { 0 };
                let (is, part) = (row.ours, part * 100.0);
                let line = format!("{what}: {ours:.places$} -> {is:.places$} ({part:+.1} %)");
                if part > 0.0 { moved.wrong.push(line) } else { moved.other.push(line) }
            }
        }
        moved.wrong.extend(known.into_keys().map(|(op, n)| format!("{op} n={n} is gone")));
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: &str = "xen=4.17.5 qemu=7.2.22 rustc=1.95.0";

    fn row(op: &str, ours: f64, hypercalls: u64) -> Row {
        let (xen, linux, allocations, exact) = (None, None, 0, true);
        Row { op: op.to_owned(), n: 32, ours, xen, linux, hypercalls, allocations, exact }
    }

    fn compared(versions: &str, now: &[Row]) -> Moved {
        let was = [row("map", 1000.0, 1), row("end", 600.0, 0)];
        let text = Baseline::write(VERSIONS, &was);
        Baseline::parse(&text).unwrap().compare(versions, now)
    }

    #[test]
    fn figures_within_a_hundredth_are_the_same() {
        let now = [row("map", 1009.0, 1), row("end", 595.0, 0)];
        assert_eq!(compared(VERSIONS, &now), Moved::default());
    }

    #[test]
    fn more_instructions_are_wrong_and_fewer_are_reported() {
        let moved = compared(VERSIONS, &[row("map", 1011.0, 1), row("end", 500.0, 0)]);
        assert_eq!(moved.wrong, ["map n=32: 1000 -> 1011 (+1.1 %)"]);
        assert_eq!(moved.other, ["end n=32: 600 -> 500 (-16.7 %)"]);
    }

    #[test]
    fn figures_of_two_domains_may_differ_more() {
        let now = |ours, hypercalls| [Row { exact: false, ..row("trip", ours, hypercalls) }];
        let was = Baseline::parse(&Baseline::write(VERSIONS, &now(13_500.0, 64))).unwrap();
        let wrong = |ours, hypercalls| was.compare(VERSIONS, &now(ours, hypercalls)).wrong;
        assert!(wrong(14_100.0, 66).is_empty());
        assert_eq!(wrong(14_200.0, 64), ["trip n=32: 13500 -> 14200 (+5.2 %)"]);
        assert_eq!(wrong(13_500.0, 68), ["trip n=32: hypercalls 64 -> 68"]);
    }

    #[test]
    fn on_other_versions_only_counts_are_compared() {
        let moved = compared("xen=4.20", &[row("map", 2000.0, 2), row("end", 600.0, 0)]);
        assert_eq!(moved.wrong, ["map n=32: hypercalls 1 -> 2"]);
        assert_eq!(moved.other.len(), 1);
    }

    #[test]
    fn counts_of_the_dearest_call_are_compared_on_the_same_versions_only() {
        let was = Baseline::write(VERSIONS, &[row("map-dearest", 1000.0, 1)]);
        let was = Baseline::parse(&was).unwrap();
        let now = [row("map-dearest", 1000.0, 2)];
        assert_eq!(was.compare(VERSIONS, &now).wrong.len(), 1);
        assert!(was.compare("xen=4.20", &now).wrong.is_empty());
    }

    #[test]
    fn rows_that_come_and_go_are_wrong() {
        let moved = compared(VERSIONS, &[row("map", 1000.0, 1), row("share", 80.0, 0)]);
        assert_eq!(moved.wrong, ["share n=32 is new", "end n=32 is gone"]);
        assert!(Baseline::parse("").is_err() && Baseline::parse("x=1\nmap 1 2").is_err());
    }
}
