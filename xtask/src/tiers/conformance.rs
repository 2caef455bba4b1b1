// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the same scenarios on Linux's grant devices and on ours, under the same Xen, and compares
//! the results line by line.
//!
//! First dom0 runs them on Linux's devices, then our guest on ours. Every difference must be an
//! expected one, and every expected difference must appear. Both transcripts are kept in
//! `target/lab/conformance`.

mod compare; // compares two transcripts

use std::fs;
use std::time::Duration;

use ::conformance::differences;
use anyhow::{Context, Result};

use self::compare::{compare, whole};
use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::life;
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::judge::record;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, dom0};

/// How long all scenarios may take on one system.
const LIMIT: Duration = Duration::from_secs(120);
/// What a debug Xen logs about them.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "read-only grants are mapped writable"),
    Expected::debug(said::NO_REFERENCE, "references beyond the table are mapped"),
    Expected::debug(said::NO_SOURCE, "references beyond the table are copied from"),
    Expected::debug(said::NOT_GRANTED, "what is not granted is mapped"),
    Expected::debug(said::NO_DOMAIN, "domains that do not exist are named"),
    Expected::debug(said::GREW, "more grants are made than one frame holds"),
];
/// The guest's name.
const GUEST: &str = "conformance";

/// Makes and compares both transcripts. Counts scenarios; each problem counts as one failed
/// scenario.
pub fn run(run: &Run) -> Result<Tally> {
    let mut files = vec![dom0::program("conformance")?];
    files.extend(config::files(GUEST, Settings::none().memory(32).on_crash("preserve"))?);
    let dom0 = run.dom0(&files)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "conformance", ""))?;
    let linux = step("scenarios on Linux", || on_linux(&mut lab))?;
    let ours = step("scenarios on Grantkit", || on_grantkit(&mut lab))?;
    let outcome = compare(&linux, &ours, &differences::expected());
    for problem in &outcome.problems {
        say(problem);
        record::check("scenarios", 0.0, Err(problem.clone()));
    }
    let (xen, kernel) = lab.versions();
    let scenarios = ::conformance::all().count() as u64;
    let failed = outcome.problems.len() as u64;
    say(&format!(
        "conformance with Linux {kernel} under Xen {xen}: scenarios={scenarios} equal={} \
         expected={} unexplained={failed}",
        outcome.equal, outcome.expected
    ));
    let mut tally = Tally { passed: scenarios.saturating_sub(failed), failed };
    tally.witness(&mut lab, EXPECTED)?;
    Ok(tally)
}

fn on_linux(lab: &mut Lab) -> Result<Vec<String>> {
    let program = lab.start(&["./conformance"])?;
    let lines = |lab: &Lab| lab.output(program).lines().map(str::to_owned).collect();
    until_whole(lab, "linux", lines)
}

fn on_grantkit(lab: &mut Lab) -> Result<Vec<String>> {
    life::create(lab, GUEST, GUEST, &Settings::none())?;
    until_whole(lab, "grantkit", |lab| lab.lines(GUEST))
}

/// Waits for a complete transcript, and saves it even if it is incomplete.
fn until_whole(
    lab: &mut Lab,
    name: &str,
    lines: impl Fn(&Lab) -> Vec<String>,
) -> Result<Vec<String>> {
    let complete = |lab: &Lab| {
        let lines = lines(lab);
        whole(&lines).map(<[String]>::to_vec)
    };
    let result = lab.until(LIMIT, complete);
    let kept = paths::lab().join("conformance").join(format!("{name}.txt"));
    fs::write(&kept, lines(lab).join("\n") + "\n")?;
    result.with_context(|| {
        format!("incomplete transcript: {}\n{}", paths::shown(&kept), lab.excerpts())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rows of the contract that say that Linux differs: `<section> <heading>: <when>`.
    fn marked(contract: &str) -> BTreeSet<String> {
        let (mut section, mut heading) = ("", "");
        let mut rows = BTreeSet::new();
        for line in contract.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let Some(title) = line.strip_prefix("## ") {
                section = title;
            } else if let Some(title) = line.strip_prefix("### ") {
                heading = title.split([':', ',']).next().unwrap_or_default();
            } else if cells.get(4).is_some_and(|elsewhere| elsewhere.contains("Linux ≠ ")) {
                rows.insert(format!("{section} {heading}: {}", cells[2]));
            }
        }
        rows
    }

    #[test]
    fn the_contract_marks_exactly_the_expected_differences() {
        let contract = fs::read_to_string(paths::root().join("docs/contract.md")).unwrap();
        let expected = differences::expected();
        let rows: BTreeSet<String> =
            expected.iter().map(|difference| difference.row.to_owned()).collect();
        assert_eq!(rows, marked(&contract));
    }

    #[test]
    fn only_a_mark_in_the_last_column_counts() {
        let text = "## gntdev\n### map: mmap\n| 1 | a | ok | seed: 1; Linux ≠ EINVAL |\n\
                    | 2 | b | Linux ≠ 1 | |\nLinux ≠ begins\n| 3 | c | ok | Linux: 2 |\n";
        assert_eq!(marked(text), BTreeSet::from(["gntdev map: a".to_owned()]));
    }
}
