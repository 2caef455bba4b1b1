// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parses the output of the bench's guest: its rows, and the cost laws they follow.
//!
//! A missing, duplicate or implausible row is an error: a partial table is not accepted.

mod baseline;
mod between;
pub mod counted;
mod linux;

use std::collections::BTreeMap;

pub use self::baseline::Baseline;
pub use self::between::{Trips, between, trips};
pub use self::linux::beside;
use super::reply::ok_line;

/// What identifies a row: the operation, and the number of pages in a call.
pub type Key = (String, u32);

/// One row; costs are per page.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The operation.
    pub op: String,
    /// Pages in a call.
    pub n: u32,
    /// Our instructions, the hypervisor's included.
    pub ours: f64,
    /// The instructions of the same hypercalls on a prepared array.
    pub xen: Option<f64>,
    /// The instructions of Linux's devices for the same operation.
    pub linux: Option<f64>,
    /// Hypercalls of the whole call.
    pub hypercalls: u64,
    /// Heap allocations of the whole call.
    pub allocations: u64,
    /// Whether another run of the same build gives the same figures.
    pub exact: bool,
}

/// More instructions per page than any operation can take.
const ABSURD: f64 = 1e8;

/// Whether a figure is plausible.
fn sane(figure: f64) -> bool {
    figure > 0.0 && figure < ABSURD
}

impl Row {
    fn parse(line: &str) -> Result<Row, String> {
        let words = line.split(' ').skip(1).filter_map(|word| word.split_once('='));
        let words: BTreeMap<&str, &str> = words.collect();
        let bad = |key: &str| format!("no {key} in `{line}`");
        let text = |key: &str| words.get(key).copied().ok_or_else(|| bad(key));
        let count = |key: &str| text(key)?.parse().map_err(|_| bad(key));
        let real = |key: &str| text(key)?.parse::<f64>().map_err(|_| bad(key));
        let xen = if text("xen")? == "-" { None } else { Some(real("xen")?) };
        let row = Row {
            op: text("op")?.to_owned(),
            n: u32::try_from(count("n")?).map_err(|_| bad("n"))?,
            ours: real("instr")?,
            xen,
            linux: None,
            hypercalls: count("hypercalls")?,
            allocations: count("allocations")?,
            exact: true,
        };
        if !sane(row.ours) || !row.xen.is_none_or(sane) || row.n == 0 {
            return Err(format!("implausible: `{line}`"));
        }
        if row.xen.is_some_and(|xen| xen > row.ours * 1.01) {
            return Err(format!("Xen's share is more than the whole: `{line}`"));
        }
        Ok(row)
    }

    /// A row for the bytes of memory that an image takes, instead of instructions.
    pub fn of_bytes(op: &str, bytes: u64) -> Row {
        let (ours, op) = (bytes as f64, op.to_owned());
        let (xen, linux) = (None, None);
        Row { op, n: 1, ours, xen, linux, hypercalls: 0, allocations: 0, exact: true }
    }

    /// The row's key.
    pub fn key(&self) -> Key {
        (self.op.clone(), self.n)
    }
}

/// Returns all rows that the guest printed, if it also printed their number.
pub fn rows(lines: &[String]) -> Result<Vec<Row>, String> {
    super::reply::no_errors(lines)?;
    let said = lines.iter().filter(|line| line.starts_with("bench "));
    let rows = said.map(|line| Row::parse(line)).collect::<Result<Vec<_>, _>>()?;
    let last = ok_line(lines, "bench")?;
    let told = last.number("rows").unwrap_or(0);
    if told == 0 || told != rows.len() as u64 {
        return Err(format!("{} rows arrived of {told}", rows.len()));
    }
    let mut keys: Vec<Key> = rows.iter().map(Row::key).collect();
    keys.sort();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two rows of {} n={}", pair[0].0, pair[0].1)),
        None => Ok(rows),
    }
}

/// What a call of N pages costs: `fixed + page * N + flush * ceil(N / 32)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// The cost of the call.
    pub fixed: f64,
    /// The cost of each page.
    pub page: f64,
    /// The cost of each full or partial batch of 32 pages.
    pub flush: f64,
    /// The largest difference between a measured call and the law.
    pub residual: f64,
}

impl Law {
    /// Fits the law to these rows of one operation; `None` if there are too few.
    pub fn of(rows: &[&Row]) -> Option<Law> {
        if rows.len() < 4 {
            return None;
        }
        let terms = |row: &Row| [1.0, f64::from(row.n), f64::from(row.n.div_ceil(32))];
        let total = |row: &Row| row.ours * f64::from(row.n);
        let mut system = [[0.0; 4]; 3];
        for row in rows {
            let terms = terms(row);
            for (line, own) in system.iter_mut().zip(terms) {
                // A call of few pages counts as much as one of many.
                let weight = 1.0 / f64::from(row.n).powi(2);
                for (place, other) in line.iter_mut().zip(terms.into_iter().chain([total(row)])) {
                    *place += weight * own * other;
                }
            }
        }
        let [fixed, page, flush] = solve(system)?;
        let mut law = Law { fixed, page, flush, residual: 0.0 };
        for row in rows {
            let [_, pages, flushes] = terms(row);
            let told = law.fixed + law.page * pages + law.flush * flushes;
            law.residual = law.residual.max((told - total(row)).abs());
        }
        Some(law)
    }
}

/// Gaussian elimination with pivoting.
fn solve(mut system: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3)
            .max_by(|a, b| system[*a][column].abs().total_cmp(&system[*b][column].abs()))?;
        system.swap(column, pivot);
        let lead = system[column];
        if lead[column].abs() < 1e-12 {
            return None;
        }
        for line in (0..3).filter(|line| *line != column) {
            let factor = system[line][column] / lead[column];
            for (place, of_lead) in system[line].iter_mut().zip(lead) {
                *place -= factor * of_lead;
            }
        }
    }
    Some([0, 1, 2].map(|line| system[line][3] / system[line][line]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "bench op=map n=32 calls=7 instr=1000.500 xen=966.125 hypercalls=1 allocations=0";

    fn said(rows: &[&str], told: usize) -> Vec<String> {
        let last = format!("ok bench rows={told}");
        rows.iter().map(|line| (*line).to_owned()).chain([last]).collect()
    }

    #[test]
    fn a_row_is_read_as_it_was_said() {
        let row = rows(&said(&[LINE], 1)).unwrap().remove(0);
        assert_eq!(row.key(), ("map".to_owned(), 32));
        assert_eq!(
            (row.ours, row.xen, row.hypercalls, row.allocations),
            (1000.5, Some(966.125), 1, 0)
        );
    }

    #[test]
    fn partial_tables_and_implausible_figures_are_errors() {
        let other = LINE.replace("n=32", "n=33");
        assert!(rows(&said(&[LINE, &other], 2)).is_ok());
        assert!(rows(&said(&[LINE, &other], 3)).is_err());
        assert!(rows(&said(&[LINE, LINE], 2)).is_err());
        assert!(rows(&said(&[], 0)).is_err());
        assert!(rows(&[LINE.to_owned()]).is_err());
        for (is, should_not_be) in [
            ("instr=1000.500", "instr=0.000"),
            ("instr=1000.500", "instr=900.000"),
            ("instr=1000.500", "instr=1e9"),
            ("instr=1000.500 ", ""),
            ("n=32", "n=0"),
            ("hypercalls=1", "hypercalls=x"),
        ] {
            assert!(
                rows(&said(&[&LINE.replace(is, should_not_be)], 1)).is_err(),
                "{should_not_be}"
            );
        }
    }

    #[test]
    fn a_law_is_fitted_and_a_row_that_breaks_it_shows() {
        let row =
            |n: u32, total: f64| Row { ours: total / f64::from(n), n, ..Row::parse(LINE).unwrap() };
        let law = |n: u32| 314.0 + 966.0 * f64::from(n) + 188.0 * f64::from(n.div_ceil(32));
        let mut all: Vec<Row> = [1, 2, 8, 32, 33, 128, 512].map(|n| row(n, law(n))).into();
        let found = Law::of(&all.iter().collect::<Vec<_>>()).unwrap();
        let near = |is: f64, should: f64| (is - should).abs() < 0.01;
        assert!(near(found.fixed, 314.0) && near(found.page, 966.0) && near(found.flush, 188.0));
        assert!(found.residual < 0.01);
        all[3] = row(32, law(32) + 100.0);
        assert!(Law::of(&all.iter().collect::<Vec<_>>()).unwrap().residual > 20.0);
        assert_eq!(Law::of(&[&all[0], &all[1]]), None);
    }
}
