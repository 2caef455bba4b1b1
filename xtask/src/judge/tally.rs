//! Checks, counted.

use anyhow::{Result, bail};

use crate::host::steps::say;

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

    /// The last line of a command, which fails if a check did, or if there was none.
    pub fn verdict(self, what: &str) -> Result<()> {
        say(&format!("{} passed, {} failed", self.passed, self.failed));
        match self {
            Tally { passed: 1.., failed: 0 } => Ok(()),
            _ => bail!("{what} failed"),
        }
    }
}
