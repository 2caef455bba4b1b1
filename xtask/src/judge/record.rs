// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records this run's checks: reports the failures once more at the end, and writes
//! `target/report/junit.xml` and `checks.json` for machines.

use std::fmt::Write;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::html::escaped;
use crate::host::paths;
use crate::host::steps::say;

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Check {
    /// The tier it belongs to; empty outside tiers.
    pub tier: String,
    pub name: String,
    pub seconds: f64,
    /// What it reports, or why it failed.
    pub outcome: Result<String, String>,
}

/// The record of this run.
#[derive(Default)]
struct Run {
    tier: String,
    checks: Vec<Check>,
}

static RUN: Mutex<Run> = Mutex::new(Run { tier: String::new(), checks: Vec::new() });

fn run() -> MutexGuard<'static, Run> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the tier that subsequent checks belong to.
pub fn tier(name: &str) {
    name.clone_into(&mut run().tier);
}

/// Records a check.
pub fn check(name: &str, seconds: f64, outcome: Result<String, String>) {
    let mut run = run();
    let tier = run.tier.clone();
    run.checks.push(Check { tier, name: name.to_owned(), seconds, outcome });
}

/// Reports the failures once more, and writes the files.
///
/// # Errors
/// If a file can't be written.
pub fn close() -> Result<()> {
    let checks = run().checks.clone();
    for line in failures(&checks) {
        say(&line);
    }
    if checks.is_empty() {
        return Ok(());
    }
    let folder = paths::target().join("report");
    fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", paths::shown(&folder)))?;
    for (name, text) in [("junit.xml", junit(&checks)), ("checks.json", json(&checks))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", paths::shown(&path)))?;
    }
    Ok(())
}

/// A line for each failed check.
fn failures(checks: &[Check]) -> Vec<String> {
    let failed = checks.iter().filter_map(|check| Some((check, check.outcome.as_ref().err()?)));
    let lines = failed.map(|(Check { tier, name, .. }, why)| {
        let why = why.lines().next().unwrap_or_default();
        let tier = if tier.is_empty() { String::new() } else { format!("{tier}: ") };
        format!("FAILED  {tier}{name}: {why}")
    });
    lines.collect()
}

fn json(checks: &[Check]) -> String {
    let rows: Vec<Value> = checks
        .iter()
        .map(|check| {
            let (passed, words) = match &check.outcome {
                Ok(words) => (true, words),
                Err(why) => (false, why),
            };
            json!({
                "tier": check.tier, "name": check.name, "seconds": check.seconds,
                "passed": passed, "words": words,
            })
        })
        .collect();
    json!({ "checks": rows }).to_string() + "\n"
}

/// The checks in the format that build servers read: a `testcase` each, with a `failure` in those
/// that failed.
fn junit(checks: &[Check]) -> String {
    let failed = checks.iter().filter(|check| check.outcome.is_err()).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"grantkit\" tests=\"{}\" failures=\"{failed}\">\n",
        checks.len()
    );
    for Check { tier, name, seconds, outcome } in checks {
        let failure = match outcome {
            Ok(_) => String::new(),
            Err(why) => format!("<failure>{}</failure>", plain(why)),
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            xml,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\">{failure}</testcase>",
            plain(tier),
            plain(name)
        );
    }
    xml + "</testsuite>\n"
}

/// Escapes text for XML 1.0, and replaces the control characters that it forbids.
fn plain(text: &str) -> String {
    let allowed = |char: char| match char {
        '\n' | '\t' => char,
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    escaped(&text.chars().map(allowed).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> [Check; 2] {
        let check = |name: &str, outcome| Check {
            tier: "pair".to_owned(),
            name: name.to_owned(),
            seconds: 0.25,
            outcome,
        };
        [
            check("it shares", Ok("64 pages".to_owned())),
            check("a < b", Err("\"x\" & \x1b[1my\nthe console".to_owned())),
        ]
    }

    #[test]
    fn each_failure_is_one_line() {
        let told = failures(&made());
        assert_eq!(told, ["FAILED  pair: a < b: \"x\" & \u{1b}[1my"]);
        assert!(failures(&made()[..1]).is_empty());
    }

    #[test]
    fn junit_names_every_check_and_escapes_what_consoles_said() {
        assert_eq!(
            junit(&made()),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <testsuite name=\"grantkit\" tests=\"2\" failures=\"1\">\n\
             <testcase classname=\"pair\" name=\"it shares\" time=\"0.250\"></testcase>\n\
             <testcase classname=\"pair\" name=\"a &lt; b\" time=\"0.250\"><failure>&quot;x&quot; \
             &amp; \u{fffd}[1my\nthe console</failure></testcase>\n</testsuite>\n"
        );
    }

    #[test]
    fn json_has_a_row_for_every_check() {
        let value: Value = serde_json::from_str(&json(&made())).unwrap();
        let rows = value["checks"].as_array().unwrap();
        assert_eq!(
            (rows[0]["passed"].as_bool(), rows[1]["passed"].as_bool()),
            (Some(true), Some(false))
        );
        assert_eq!(rows[0]["tier"], "pair");
    }
}
