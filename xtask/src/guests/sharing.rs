// SPDX-License-Identifier: MIT OR Apache-2.0
//! Has the demo's two guests share pages, by commands at their prompts, and checks that each sees
//! what the other wrote.

use anyhow::{Context, Result, ensure};

use super::life::PAIR;
use crate::judge::reply::{number, same_bytes, value};
use crate::lab::Lab;

/// Pages that the granter shares and the mapper maps, by each one's id for them.
pub struct Sharing {
    /// The granter's id.
    pub share: u64,
    /// The mapper's id.
    pub map: u64,
}

impl Sharing {
    /// Has the granter share `pages` pages, and the mapper map them.
    pub fn start(lab: &mut Lab, pages: u32) -> Result<Sharing> {
        let [granter, mapper] = PAIR;
        let to = lab.domid(mapper)?.context("no mapper")?;
        let from = lab.domid(granter)?.context("no granter")?;
        let shared = lab.ask(granter, &format!("share {to} {pages}"))?;
        let mapped = lab.ask(mapper, &format!("map {from} {}", value(&shared, "refs")?))?;
        Ok(Sharing { share: number(&shared, "id")?, map: number(&mapped, "id")? })
    }

    /// Checks that each sees what the other wrote.
    pub fn both_ways(&self, lab: &mut Lab) -> Result<()> {
        let (ours, theirs) = ((PAIR[0], self.share), (PAIR[1], self.map));
        for (seed, writer, reader) in [(1, ours, theirs), (2, theirs, ours)] {
            let filled = lab.ask(writer.0, &format!("fill {} {seed}", writer.1))?;
            let summed = lab.ask(reader.0, &format!("sum {}", reader.1))?;
            same_bytes(&filled, &summed)?;
        }
        Ok(())
    }

    /// Has the mapper unmap the pages, and then the granter free them.
    pub fn end(self, lab: &mut Lab) -> Result<()> {
        lab.ask(PAIR[1], &format!("unmap {}", self.map))?;
        self.unshare(lab)
    }

    /// Has the granter free the pages, which nobody maps any more.
    pub fn unshare(self, lab: &mut Lab) -> Result<()> {
        let ended = lab.ask(PAIR[0], &format!("unshare {}", self.share))?;
        ensure!(value(&ended, "state")? == "freed", "not freed: {ended}");
        Ok(())
    }
}
