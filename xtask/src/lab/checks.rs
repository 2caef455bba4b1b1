// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks in a lab; each prints one line with its outcome and time.

use anyhow::Result;

use super::running::Lab;
use crate::judge::tally::Tally;

impl Tally {
    /// Runs one check in a lab, prints its outcome and counts it. An interrupt is passed on as an
    /// error.
    pub fn check(
        &mut self,
        lab: &mut Lab,
        name: &str,
        check: impl FnOnce(&mut Lab) -> Result<()>,
    ) -> Result<()> {
        self.told(lab, name, |lab| check(lab).map(|()| String::new()))
    }

    /// Like [`Tally::check`], for a check that has something to report.
    pub fn told(
        &mut self,
        lab: &mut Lab,
        name: &str,
        check: impl FnOnce(&mut Lab) -> Result<String>,
    ) -> Result<()> {
        self.made(name, lab, check, |lab| format!("\n{}", lab.excerpts()))
    }
}
