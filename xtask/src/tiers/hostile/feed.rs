// SPDX-License-Identifier: MIT OR Apache-2.0
//! A granter fills the demo's ring as fast as its reader empties it, for 4 GiB: the reader must
//! obey `xl shutdown` all the same.
//!
//! The granter is always ahead only if both run at the same time, so each has a processor.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::victims::{HOSTILE, bring_hostile};
use crate::guests::config::Settings;
use crate::guests::life;
use crate::host::steps::step;
use crate::judge::tally::Tally;
use crate::judge::witness::Expected;
use crate::lab::dom0::Dom0;
use crate::lab::qemu::Hardware;
use crate::lab::{Lab, PATIENCE};

/// The reader.
const MAPPER: &str = "mapper";
/// How soon it must have ended once xl has asked it to. Both clocks are Xen's.
const OBEYED: Duration = Duration::from_secs(1);
/// How long it is fed before that.
const FED: Duration = Duration::from_secs(1);

/// Boots a lab with two processors, and shuts the reader down `times` times.
pub fn run(dom0: &Dom0, times: u32, expected: &[Expected]) -> Result<Tally> {
    let hardware = Hardware { processors: 2, ..Hardware::default() };
    let mut lab = step("boot a lab with two processors", || {
        Lab::boot_on(&hardware, "", dom0, "hostile-feed", "")
    })?;
    let mut tally = Tally::default();
    for _ in 0..times {
        let name = "a granter that fills a ring for ever; xl shutdown";
        tally.told(&mut lab, name, |lab| {
            // A new one each time: what the last one published would still be found.
            bring_hostile(lab)?;
            let obeyed = fed(lab);
            life::remove(lab, MAPPER)?;
            life::remove(lab, HOSTILE)?;
            obeyed
        })?;
    }
    tally.witness(&mut lab, expected)?;
    Ok(tally)
}

fn fed(lab: &mut Lab) -> Result<String> {
    let lure = lab.command(HOSTILE, "lure feed")?;
    life::create(lab, MAPPER, MAPPER, &Settings::none().on_crash("destroy"))?;
    lab.says(HOSTILE, lure, "feed: the reader reads")?;
    let enough = Instant::now() + FED;
    while Instant::now() < enough {
        lab.step(enough)?;
    }
    // Only with -vvv does xl say when it turns to the domain itself.
    let xl = lab.start(&["xl", "-vvv", "shutdown", MAPPER])?;
    let asked = |lab: &Lab| lab.output(xl).contains("Shutting down domain").then_some(());
    lab.until(PATIENCE, asked).context("xl does not ask it to shut down")?;
    let asked = Instant::now();
    let down = |lab: &Lab| lab.toolstack(MAPPER).contains("has shut down").then_some(());
    lab.until(PATIENCE, down).context("it does not shut down")?;
    let obeyed = asked.elapsed();
    lab.finish(xl)?;
    let taken = lab.says(HOSTILE, lure, " MiB taken, ")?;
    let answer = lab.answer(HOSTILE, lure, PATIENCE)?;
    ensure!(answer.starts_with("ok lure how=feed"), "the hostile guest: {answer}");
    ensure!(obeyed <= OBEYED, "obeyed after {} ms", obeyed.as_millis());
    let taken = taken.trim_start_matches("feed: ");
    Ok(format!("{taken}; obeyed {} ms after xl asked", obeyed.as_millis()))
}
