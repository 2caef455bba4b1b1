//! How checks are counted and told of: one line each, and one line for all.

use anyhow::{Result, bail};

use crate::children;
use crate::lab::Lab;
use crate::steps::{clocked, say};

/// Passed and failed checks.
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

    /// Counts those of another tally, too.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Makes one check in a lab, tells how it went and counts it. An interrupt ends everything.
    pub fn check(
        &mut self,
        lab: &mut Lab,
        name: &str,
        check: impl FnOnce(&mut Lab) -> Result<()>,
    ) -> Result<()> {
        self.told(lab, name, |lab| check(lab).map(|()| String::new()))
    }

    /// The same for a check that has something to tell.
    pub fn told(
        &mut self,
        lab: &mut Lab,
        name: &str,
        check: impl FnOnce(&mut Lab) -> Result<String>,
    ) -> Result<()> {
        let (result, seconds) = clocked(name, || check(lab));
        if children::interrupted() {
            bail!("interrupted");
        }
        match &result {
            Ok(words) if words.is_empty() => say(&format!("        ok: {name} ({seconds:.1} s)")),
            Ok(words) => say(&format!("        ok: {name}: {words} ({seconds:.1} s)")),
            Err(error) => say(&format!("        FAILED: {name}: {error:#}\n{}", lab.excerpts())),
        }
        self.count(result.is_ok());
        Ok(())
    }

    /// The last line of a command, which fails if a check did, or if there was none.
    pub fn verdict(self, what: &str) -> Result<()> {
        say(&format!("{} passed, {} failed", self.passed, self.failed));
        match self {
            Tally { passed: 1.., failed: 0 } => Ok(()),
            _ => bail!("{what} failed"),
        }
    }
}
