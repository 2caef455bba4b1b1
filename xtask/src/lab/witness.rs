// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a lab's Xen log for what it says about our guests.

use anyhow::{Error, Result};

use super::running::Lab;
use super::{Mode, view};
use crate::judge::tally::Tally;
use crate::judge::witness::{self, CREATED_PVH, Expected, Ours};

impl Tally {
    /// Runs the check at the end of a lab: everything that Xen logged about our guests was
    /// expected.
    pub fn witness(&mut self, lab: &mut Lab, expected: &[Expected]) -> Result<()> {
        self.check(lab, "Xen's log says nothing else about our guests", |lab| {
            // Once Xen has answered, everything that it printed before is in the log.
            view::grants(lab)?;
            let said = witness::lines(&lab.xen_log()?);
            let created = match lab.mode() {
                Mode::Pv => &[][..],
                Mode::Pvh => &CREATED_PVH,
            };
            let expected = [expected, created].concat();
            witness::heard(&said, Ours::DomUs, &expected).map_err(Error::msg)
        })
    }
}
