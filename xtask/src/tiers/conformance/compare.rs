// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares two transcripts, given the expected differences: a pure function.
//!
//! A line is identified by its scenario and step. Both systems make the same calls, so only results
//! can differ.

use std::collections::BTreeMap;

use ::conformance::differences::Difference;

/// The outcome of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The number of equal lines.
    pub equal: usize,
    /// The number of expected differences that appeared.
    pub expected: usize,
    /// Everything else, for display.
    pub problems: Vec<String>,
}

/// The lines of a transcript without its last one, if that is there and states their number.
pub fn whole(lines: &[String]) -> Option<&[String]> {
    let end = lines.iter().position(|line| line.starts_with("end scenarios="))?;
    (::conformance::lines_told(&lines[end]) == Some(end)).then_some(&lines[..end])
}

/// Compares two whole transcripts.
pub fn compare(linux: &[String], ours: &[String], expected: &[Difference]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut waiting: BTreeMap<&str, &Difference> = BTreeMap::new();
    for difference in expected {
        if waiting.insert(difference.line, difference).is_some() {
            outcome.problems.push(format!("expected twice: {}", difference.line));
        }
    }
    let length = linux.len().max(ours.len());
    for number in 0..length {
        let line = |lines: &[String]| lines.get(number).cloned().unwrap_or_default();
        let (theirs, own) = (line(linux), line(ours));
        let (Some(a), Some(b)) = (Line::parse(&theirs), Line::parse(&own)) else {
            outcome.problems.push(format!("not a transcript line: `{theirs}`, `{own}`"));
            continue;
        };
        if (a.key, a.call) != (b.key, b.call) {
            outcome.problems.push(format!("different calls: Linux `{theirs}`, Grantkit `{own}`"));
            continue;
        }
        let difference = waiting.remove(a.key);
        match (a.result == b.result, difference) {
            (true, None) => outcome.equal += 1,
            (true, Some(_)) => {
                outcome.problems.push(format!("expected to differ, but did not: {own}"));
            }
            (false, Some(known)) if known.allows(a.result) => outcome.expected += 1,
            (false, Some(known)) => outcome.problems.push(format!(
                "{} {}: Linux {}, not {} as expected; Grantkit {}",
                a.key, a.call, a.result, known.linux, b.result
            )),
            (false, None) => outcome
                .problems
                .push(format!("{} {}: Linux {}, Grantkit {}", a.key, a.call, a.result, b.result)),
        }
    }
    outcome.problems.extend(waiting.keys().map(|line| format!("expected, but no line: {line}")));
    outcome
}

/// A parsed line.
struct Line<'a> {
    /// Scenario and step.
    key: &'a str,
    call: &'a str,
    result: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (made, result) = line.split_once(" -> ")?;
        let (end, _) = made.match_indices(' ').nth(1)?;
        Some(Self { key: &made[..end], call: &made[end + 1..], result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::text::lines;

    fn known(linux: &'static str) -> [Difference<'static>; 1] {
        [Difference { line: "a 2", linux, row: "map" }]
    }

    const OURS: &str = "a 1 open gntdev -> ok\na 2 MAP gntdev [] -> EINVAL";
    const THEIRS: &str = "a 1 open gntdev -> ok\na 2 MAP gntdev [] -> ok A";

    #[test]
    fn the_same_lines_are_equal() {
        let outcome = compare(&lines(OURS), &lines(OURS), &[]);
        assert_eq!(outcome, Outcome { equal: 2, ..Outcome::default() });
    }

    #[test]
    fn an_expected_difference_is_no_problem() {
        let outcome = compare(&lines(THEIRS), &lines(OURS), &known("ok A"));
        assert_eq!(outcome, Outcome { equal: 1, expected: 1, ..Outcome::default() });
    }

    #[test]
    fn an_unexplained_difference_is_reported() {
        let problems = compare(&lines(THEIRS), &lines(OURS), &[]).problems;
        assert_eq!(problems, ["a 2 MAP gntdev []: Linux ok A, Grantkit EINVAL"]);
    }

    #[test]
    fn an_expected_difference_has_to_be_as_expected() {
        assert_eq!(compare(&lines(THEIRS), &lines(OURS), &known("EFAULT")).problems.len(), 1);
    }

    #[test]
    fn an_expected_difference_has_to_appear() {
        assert_eq!(compare(&lines(OURS), &lines(OURS), &known("ok A")).problems.len(), 1);
        assert_eq!(compare(&[], &[], &known("ok A")).problems, ["expected, but no line: a 2"]);
    }

    #[test]
    fn other_calls_and_missing_lines_are_problems() {
        let (ours, fewer) = (lines(OURS), lines("a 1 open gntdev -> ok"));
        assert_eq!(compare(&fewer, &ours, &[]).problems.len(), 1);
        assert_eq!(compare(&ours, &lines("a 1 open gntalloc -> ok"), &[]).problems.len(), 2);
    }

    #[test]
    fn a_difference_that_is_expected_twice_is_a_problem() {
        let twice = [known("ok A"), known("ok A")].concat();
        assert_eq!(compare(&lines(THEIRS), &lines(OURS), &twice).problems, ["expected twice: a 2"]);
    }

    #[test]
    fn a_transcript_is_whole_with_its_last_line() {
        let mut said = lines(OURS);
        assert_eq!(whole(&said), None);
        said.push(::conformance::last_line(2));
        assert_eq!(whole(&said), Some(&lines(OURS)[..]));
        said.remove(0);
        assert_eq!(whole(&said), None);
    }
}
