// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parses what a guest measured together with another domain: rows, and a histogram of round trips.
//!
//! It is as strict as for a guest alone: a histogram that lacks trips is an error.

use std::collections::BTreeMap;

use super::{Row, rows};

/// A histogram's columns: from which number of instructions, and how many round trips.
pub type Trips = Vec<(u32, u32)>;

/// Returns the rows of two domains, which no two runs reproduce exactly.
pub fn between(lines: &[String]) -> Result<Vec<Row>, String> {
    let inexact = |row| Row { exact: false, ..row };
    Ok(rows(lines)?.into_iter().map(inexact).collect())
}

/// Returns the histogram that the guest printed, if it has `all` round trips.
pub fn trips(lines: &[String], all: u32) -> Result<Trips, String> {
    let said = lines.iter().filter(|line| line.starts_with("trips "));
    let columns = said
        .map(|line| column(line).ok_or_else(|| format!("not a column of round trips: `{line}`")))
        .collect::<Result<Trips, String>>()?;
    let sum: u64 = columns.iter().map(|(_, count)| u64::from(*count)).sum();
    if sum != u64::from(all) {
        return Err(format!("{sum} round trips in the histogram, and not {all}"));
    }
    match columns.is_sorted_by(|one, next| one.0 < next.0) {
        true => Ok(columns),
        false => Err("the histogram's columns are out of order".into()),
    }
}

fn column(line: &str) -> Option<(u32, u32)> {
    let words: BTreeMap<&str, &str> =
        line.split(' ').skip(1).filter_map(|word| word.split_once('=')).collect();
    let number = |key| words.get(key)?.parse::<u32>().ok();
    let (from, to, count) = (number("from")?, number("to")?, number("count")?);
    (0 < from && from < to && count > 0).then_some((from, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(columns: &[&str], all: u32) -> Result<Trips, String> {
        let lines: Vec<String> = columns.iter().map(|line| (*line).to_owned()).collect();
        trips(&lines, all)
    }

    const ONE: &str = "trips op=ping-pong from=10100 to=10200 count=4990";
    const OTHER: &str = "trips op=ping-pong from=14300 to=14400 count=10";

    #[test]
    fn a_histogram_has_all_round_trips_in_order() {
        assert_eq!(told(&[ONE, OTHER], 5000), Ok(vec![(10_100, 4990), (14_300, 10)]));
    }

    #[test]
    fn a_histogram_with_gaps_or_nonsense_is_an_error() {
        assert!(told(&[ONE], 5000).unwrap_err().contains("4990 round trips"));
        assert!(told(&[], 5000).is_err() && told(&[OTHER, ONE], 5000).is_err());
        assert!(told(&[ONE, OTHER, OTHER], 5010).is_err());
        for (is, should_not_be) in
            [("from=10100", "from=0"), ("to=10200", "to=10100"), ("count=4990", "count=x")]
        {
            assert!(told(&[&ONE.replace(is, should_not_be), OTHER], 5000).is_err());
        }
    }

    #[test]
    fn rows_of_two_domains_are_known_as_such() {
        let line = "bench op=ping-pong n=1 calls=5 instr=10200.000 xen=- hypercalls=4 \
                    allocations=0 window=0";
        let lines = [line.to_owned(), "ok bench rows=1".to_owned()];
        assert!(!between(&lines).unwrap()[0].exact);
        let failed = [line.to_owned(), "error bench errno=EPIPE status=- gone".to_owned()];
        assert!(between(&failed).is_err());
    }
}
