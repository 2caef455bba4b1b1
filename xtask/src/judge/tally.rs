// SPDX-License-Identifier: MIT OR Apache-2.0
//! The count of passed and failed checks.

use std::fmt;

use anyhow::{Result, bail};

use super::record;
use crate::host::children;
use crate::host::steps::{clocked, say};

/// Nothing failed, but something needed was unavailable: how many checks passed, and how many lines
/// of the table did not run.
#[derive(Debug)]
pub struct NotRun(pub u64, pub usize);

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, 0 failed; {} lines not run", self.0, self.1)
    }
}

impl std::error::Error for NotRun {}

/// The numbers of passed and failed checks.
#[derive(Default, Clone, Copy)]
pub struct Tally {
    /// Checks that passed.
    pub passed: u64,
    /// Checks that failed.
    pub failed: u64,
}

impl Tally {
    /// Counts one check.
    pub fn count(&mut self, passed: bool) {
        self.passed += u64::from(passed);
        self.failed += u64::from(!passed);
    }

    /// Runs one check on `on`, prints its outcome and counts it; if it failed, also shows
    /// `evidence`. An interrupt is passed on as an error.
    pub fn made<T>(
        &mut self,
        name: &str,
        on: &mut T,
        check: impl FnOnce(&mut T) -> Result<String>,
        evidence: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let (result, seconds) = clocked(name, || check(on));
        if children::interrupted() {
            bail!("interrupted");
        }
        match &result {
            Ok(words) if words.is_empty() => say(&format!("        ok: {name} ({seconds:.1} s)")),
            Ok(words) => say(&format!("        ok: {name}: {words} ({seconds:.1} s)")),
            Err(error) => say(&format!("        FAILED: {name}: {error:#}{}", evidence(on))),
        }
        self.count(result.is_ok());
        record::check(name, seconds, result.map_err(|error| format!("{error:#}")));
        Ok(())
    }

    /// Adds another tally's counts.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Prints a command's last lines. Fails if a check failed, or if there was none.
    pub fn verdict(self, what: &str) -> Result<()> {
        record::close()?;
        say(&format!("{} passed, {} failed", self.passed, self.failed));
        match self {
            Tally { passed: 1.., failed: 0 } => Ok(()),
            _ => bail!("{what} failed"),
        }
    }
}
