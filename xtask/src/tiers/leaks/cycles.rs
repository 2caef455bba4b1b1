// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs thousands of cycles of sharing in one guest, after which its own counts, Xen's grant tables
//! and `xl list` must be as before.
//!
//! To prove that the views would show a leak, the guest then maps three of its own pages for good,
//! and Xen must show them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::life;
use crate::host::steps::{say, step};
use crate::judge::reply::Reply;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, view};

const GUEST: &str = "cycles";
/// How long all cycles may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Boots a lab, and runs the cycles in it.
pub fn run(run: &Run, seed: u64) -> Result<Tally> {
    let cycles = run.extent.of(1_000, 10_000);
    let settings = Settings::none().memory(8).extra(&format!("seed={seed} cycles={cycles}"));
    let dom0 = run.dom0(&config::files(GUEST, settings)?)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "leaks-cycles", ""))?;
    let mut tally = Tally::default();
    tally.check(&mut lab, "cycles of sharing leave nothing", |lab| check(lab, cycles))?;
    let held = [Expected::debug(said::ENDED, "it is destroyed while it maps three pages")];
    tally.witness(&mut lab, &held)?;
    Ok(tally)
}

fn check(lab: &mut Lab, cycles: u32) -> Result<()> {
    let domid = life::create(lab, GUEST, GUEST, &Settings::none())?;
    lab.says(GUEST, 0, "cycles: ready")?;
    let before = view::grants(lab)?;

    lab.type_on(GUEST, b"\r")?;
    let line = lab.answer(GUEST, 0, LIMIT)?;
    say(&format!("        {line}"));
    let reply =
        Reply::parse(&line).filter(|reply| reply.ok).context("not every cycle was clean")?;
    ensure!(reply.number("cycles") == Some(u64::from(cycles)), "not as many cycles as asked for");
    let after = view::grants(lab)?;
    ensure!(after == before, "Xen's grants were {before:?} and are {after:?}");

    lab.type_on(GUEST, b"\r")?;
    lab.says(GUEST, 0, "cycles: 3 pages are mapped")?;
    let held = view::grants(lab)?;
    ensure!(held.len() == before.len() + 3, "Xen does not show three more mapped pages: {held:?}");

    lab.xl(&["destroy", GUEST])?;
    view::gone(lab, domid)
}
