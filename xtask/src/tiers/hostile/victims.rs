// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hostile guest and its victims: the victims' state before, and their service to each other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{self, PAIR};
use crate::guests::sharing::Sharing;
use crate::judge::counts::Counts;
use crate::judge::demo;
use crate::judge::reply::{number, same_bytes, value};
use crate::lab::view::{self, Active};
use crate::lab::{Lab, PATIENCE};

/// The hostile guest's name.
pub const HOSTILE: &str = "hostile";
/// How soon the victims must be as before.
const CLEAN: Duration = Duration::from_secs(3);
/// How long a whole run of the demo may take.
const RUN: Duration = Duration::from_secs(90);
/// The number of pages that the victims share with each other.
const PAGES: u32 = 8;

/// An attack: its name, and a function that runs it and returns the answer, in words.
pub type Attack = (&'static str, fn(&mut Lab, &Victims) -> Result<String>);

/// The three domains, and the victims' state before.
pub struct Victims {
    /// The domids. The hostile guest's is the nearest to the mapper's, so the mapper looks at it
    /// first.
    pub hostile: u32,
    pub mapper: u32,
    pub granter: u32,
    /// How often each watch is made to fire.
    pub firings: u32,
    /// Xen's active grant entries before, except the hostile guest's.
    pub entries: Vec<Active>,
    counts: [Counts; 2],
}

/// Creates the hostile guest, and returns its domid.
pub fn bring_hostile(lab: &mut Lab) -> Result<u32> {
    let domid = life::create(lab, HOSTILE, HOSTILE, &Settings::none())?;
    lab.says(HOSTILE, 0, "hostile: ready")?;
    Ok(domid)
}

impl Victims {
    /// Creates all three domains, and has the victims make a whole run, so that everything that is
    /// done only once has been done.
    pub fn bring(lab: &mut Lab, firings: u32) -> Result<Victims> {
        let hostile = bring_hostile(lab)?;
        let mapper = life::create(lab, "mapper", "mapper", &Settings::none().extra(""))?;
        let granter = life::create(lab, "granter", "granter", &Settings::none())?;
        // Opens the shell's handle first: it stays open for good, and every later one gets the same
        // place beside it.
        lab.refused("mapper", &format!("map {hostile} 8"))?;
        let first = lab.command("mapper", "demo mapper")?;
        lab.answer("mapper", first, RUN)?;
        lab.answer("granter", 0, RUN)?; // its run ends a little later
        honest(lab)?;
        let (counts, entries) = (counts(lab)?, grants(lab, hostile)?);
        Ok(Victims { hostile, mapper, granter, firings, entries, counts })
    }

    /// Waits until both victims' counts are as before.
    pub fn unharmed(&self, lab: &mut Lab) -> Result<()> {
        let end = Instant::now() + CLEAN;
        loop {
            let counts = counts(lab)?;
            if counts == self.counts {
                return Ok(());
            }
            let before = &self.counts;
            ensure!(Instant::now() < end, "{PAIR:?} were {before:?} and are {counts:?}");
        }
    }

    /// Xen's active grant entries, except the hostile guest's.
    pub fn grants(&self, lab: &mut Lab) -> Result<Vec<Active>> {
        grants(lab, self.hostile)
    }
}

/// Pages that the hostile guest granted to the mapper, which has mapped and filled them.
pub struct Lent {
    /// The references.
    pub refs: String,
    /// The mapper's id for them.
    pub map: u64,
    filled: String,
}

impl Lent {
    /// Has the hostile guest grant the pages, and the mapper map and fill them.
    pub fn to_the_mapper(lab: &mut Lab, victims: &Victims, pages: u32) -> Result<Lent> {
        let granted = lab.ask(HOSTILE, &format!("grant {} {pages}", victims.mapper))?;
        let refs = value(&granted, "refs")?.to_owned();
        let mapped = lab.ask("mapper", &format!("map {} {refs}", victims.hostile))?;
        let map = number(&mapped, "id")?;
        let filled = lab.ask("mapper", &format!("fill {map} 3"))?;
        Ok(Lent { refs, map, filled })
    }

    /// Checks that the mapper reads what it wrote.
    pub fn readable(&self, lab: &mut Lab) -> Result<()> {
        same_bytes(&self.filled, &lab.ask("mapper", &format!("sum {}", self.map))?)
    }
}

/// Has the victims share pages with each other, by commands at their prompts.
pub fn honest(lab: &mut Lab) -> Result<()> {
    let sharing = Sharing::start(lab, PAGES)?;
    sharing.both_ways(lab)?;
    sharing.end(lab)
}

/// Has the victims make a whole run of the demo with each other.
pub fn whole_run(lab: &mut Lab) -> Result<()> {
    let mark = lab.said("granter").len();
    let first = lab.command("mapper", "demo mapper")?;
    let answer = lab.answer("mapper", first, RUN)?;
    ensure!(answer.starts_with("ok demo mapper passed=7 failed=0"), "{answer}");
    let clean = |lab: &Lab| demo::told(demo::CLEAN, &lab.lines_from("granter", mark)).then_some(());
    lab.until(PATIENCE, clean).context("the granter does not end its run")
}

/// Waits until `pages` pages of the granter are parked.
pub fn parked(lab: &mut Lab, pages: u64) -> Result<()> {
    let end = Instant::now() + CLEAN;
    loop {
        let status = lab.ask("granter", "status")?;
        if number(&status, "parked")? == pages {
            return Ok(());
        }
        ensure!(Instant::now() < end, "there are not {pages} parked pages: {status}");
    }
}

fn grants(lab: &mut Lab, hostile: u32) -> Result<Vec<Active>> {
    let mut grants = view::grants(lab)?;
    grants.retain(|active| active.granter != hostile);
    Ok(grants)
}

fn counts(lab: &mut Lab) -> Result<[Counts; 2]> {
    Ok([lab.counts("granter")?.but_heap(), lab.counts("mapper")?.but_heap()])
}
