//! Xen's own log of a lab, as a witness against our guests.

use anyhow::{Error, Result};

use super::running::Lab;
use super::view;
use crate::judge::tally::Tally;
use crate::judge::witness::{self, Expected, Ours};

impl Tally {
    /// The check at the end of a lab: all that Xen said of our guests was expected.
    pub fn witness(&mut self, lab: &mut Lab, expected: &[Expected]) -> Result<()> {
        self.check(lab, "Xen's log says nothing else of our guests", |lab| {
            // An answer of Xen's: what it wrote before is in the log.
            view::grants(lab)?;
            let said = witness::lines(&lab.xen_log()?);
            witness::heard(&said, Ours::DomUs, expected).map_err(Error::msg)
        })
    }
}
