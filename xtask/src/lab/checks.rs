// SPDX-License-Identifier: MIT OR Apache-2.0
//! A check made in the lab: one line that says how it went, with its time.

use anyhow::Result;

use super::running::Lab;
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
        self.made(name, lab, check, |lab| format!("\n{}", lab.excerpts()))
    }
}
