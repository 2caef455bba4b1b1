// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rows of the matrix, and the table of results.

use std::fmt;

use crate::lab::qemu::CPU;

/// A host.
pub struct Row {
    /// The Debian release that Xen, xl and Linux come from, by its name in the archive.
    pub release: &'static str,
    /// The xenstore daemon.
    pub store: &'static str,
    /// Whether Xen keeps its own memory out of PV guests' page tables (XPTI).
    pub xpti: bool,
    /// The machine's number of processors.
    pub processors: u32,
    /// The processor model, as QEMU names it.
    pub cpu: &'static str,
    /// The release whose QEMU is used, if not this machine's.
    pub qemu: Option<&'static str>,
    /// Whether `test` runs it.
    pub in_test: bool,
}

/// All rows.
pub const ROWS: &[Row] = &[
    row("bookworm", "xenstored", false, 1),
    row("bookworm", "oxenstored", true, 4),
    Row { in_test: true, ..row("trixie", "oxenstored", false, 1) },
    row("trixie", "xenstored", true, 4),
    row("bullseye", "oxenstored", true, 1),
    row("bullseye", "xenstored", false, 4),
    // With SMAP, which QEMU 7.2 gets wrong when a PV guest traps.
    Row { cpu: "max", qemu: Some("trixie"), ..row("bookworm", "xenstored", false, 1) },
];

const fn row(release: &'static str, store: &'static str, xpti: bool, processors: u32) -> Row {
    Row { release, store, xpti, processors, cpu: CPU, qemu: None, in_test: false }
}

impl Row {
    /// Its name, which is its lab's, too.
    pub fn name(&self) -> String {
        let smap = if self.cpu == CPU { "" } else { "-smap" };
        format!("{}-{}{smap}", self.release, self.store)
    }

    /// Xen's options for this row.
    pub fn xen(&self) -> String {
        // With less memory, Linux 5.10 ends before its first line.
        let memory = if self.release == "bullseye" { " dom0_mem=320M,max:320M" } else { "" };
        format!("xpti={}{memory}", self.xpti)
    }

    /// What Xen prints with these options.
    pub fn signs(&self) -> [String; 2] {
        let word = if self.xpti { "enabled" } else { "disabled" };
        let plural = if self.processors == 1 { "" } else { "s" };
        [
            format!("XPTI (64-bit PV only): Dom0 {word}, DomU {word}"),
            format!("Brought up {} CPU{plural}", self.processors),
        ]
    }

    /// The row's lines of the table if it could not run.
    pub fn not_run(&'static self, why: &str) -> [Line; 2] {
        ["pv", "pvh"].map(|mode| Line {
            row: self,
            host: format!("not run: {}", why.lines().next().unwrap_or_default()),
            mode,
            cells: vec![Cell::NotRun; 4],
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let xpti = if self.xpti { "on" } else { "off" };
        write!(f, "{} {:<10} xpti={xpti:<3} cpus={}", self.release, self.store, self.processors)?;
        if self.cpu == CPU { Ok(()) } else { write!(f, " cpu={}", self.cpu) }
    }
}

/// A check's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Passed,
    Failed,
    NotRun,
}

impl Cell {
    pub fn of(passed: bool) -> Cell {
        if passed { Cell::Passed } else { Cell::Failed }
    }

    fn word(self) -> &'static str {
        match self {
            Cell::Passed => "ok",
            Cell::Failed => "FAILED",
            Cell::NotRun => "-",
        }
    }
}

/// A line of the table.
#[derive(Clone)]
pub struct Line {
    pub row: &'static Row,
    /// The versions of Xen, Linux and QEMU, or why it was not run.
    pub host: String,
    pub mode: &'static str,
    /// The results, in the order of the checks.
    pub cells: Vec<Cell>,
}

impl Line {
    pub fn is_not_run(&self) -> bool {
        self.cells.contains(&Cell::NotRun)
    }
}

/// Formats all lines as a Markdown table.
pub fn table(lines: &[Line]) -> Vec<String> {
    let mut table = vec![
        "| Debian, xenstore daemon, XPTI, processors | guests | demo | self-test | Linux | crash \
         | Xen, Linux, QEMU |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    table.extend(lines.iter().map(|line| {
        let cells: Vec<&str> = line.cells.iter().map(|cell| cell.word()).collect();
        format!("| {} | {} | {} | {} |", line.row, line.mode, cells.join(" | "), line.host)
    }));
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_release_meets_every_value_and_every_pair_of_values_occurs() {
        let plain = || ROWS.iter().filter(|row| row.cpu == CPU);
        let releases: BTreeSet<_> = plain().map(|row| row.release).collect();
        for release in &releases {
            let of = || plain().filter(move |row| row.release == *release);
            assert_eq!(of().map(|row| row.store).collect::<BTreeSet<_>>().len(), 2, "{release}");
            assert_eq!(of().map(|row| row.xpti).collect::<BTreeSet<_>>().len(), 2, "{release}");
            assert_eq!(of().map(|row| row.processors).collect::<BTreeSet<_>>().len(), 2);
        }
        assert_eq!(plain().map(|row| (row.store, row.xpti)).collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(
            plain().map(|row| (row.store, row.processors)).collect::<BTreeSet<_>>().len(),
            4
        );
        assert_eq!(plain().map(|row| (row.xpti, row.processors)).collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(ROWS.iter().filter(|row| row.in_test).count(), 1);
        let names: BTreeSet<String> = ROWS.iter().map(Row::name).collect();
        assert_eq!(names.len(), ROWS.len(), "{names:?}");
    }

    #[test]
    fn a_row_that_was_not_run_says_why() {
        let lines = ROWS[0].not_run("cannot get x\nmore");
        assert!(lines.iter().all(Line::is_not_run));
        let said = table(&lines);
        let row =
            "| bookworm xenstored  xpti=off cpus=1 | pv | - | - | - | - | not run: cannot get x |";
        assert_eq!(said[2], row);
        let made = Line { cells: vec![Cell::of(true), Cell::of(false)], ..lines[0].clone() };
        assert!(!made.is_not_run());
    }
}
