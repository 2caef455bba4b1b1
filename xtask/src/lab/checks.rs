//! A check made in the lab: one line that says how it went, with its time.

use anyhow::{Result, bail};

use super::running::Lab;
use crate::host::children;
use crate::host::steps::{clocked, say};
use crate::judge::tally::Tally;

impl Tally {
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
}
