//! The tiers that need Xen, in the order of running, each in a small form for every test run and in its full one.
//!
//! A tier that can't be run counts as one failed check, and keeps none of the others from running.

use anyhow::{Result, bail};

use crate::children;
use crate::steps::{clocked, say};
use crate::tally::Tally;
use crate::{across, conformance, exhaustion, hostile, leaks, model, pair, smoke};

/// How much of a tier is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What every test run has time for.
    Mini,
    /// All of it.
    Full,
}

impl Extent {
    /// The figure that belongs to it.
    pub fn of<T>(self, mini: T, full: T) -> T {
        match self {
            Extent::Mini => mini,
            Extent::Full => full,
        }
    }
}

/// A name, and what runs it.
type Tier = (&'static str, fn(Extent) -> Result<Tally>);

const TIERS: [Tier; 8] = [
    ("smoke", |_| smoke::run()),
    ("model", model::run),
    ("pair", |extent| pair::run(extent.of(1, 5))),
    ("conformance", |_| conformance::run()),
    ("exhaustion", exhaustion::run),
    ("leaks", leaks::run),
    ("across", across::run),
    ("hostile", hostile::run),
];

/// Runs all tiers with a built image, and tells what came of each.
pub fn run(extent: Extent) -> Result<Tally> {
    let mut all = Tally::default();
    let mut lines = Vec::new();
    for (name, tier) in TIERS {
        say(&format!("tier    {name}"));
        let (result, seconds) = clocked(name, || tier(extent));
        if children::interrupted() {
            bail!("interrupted");
        }
        let tally = result.unwrap_or_else(|error| {
            say(&format!("FAILED  {name}: {error:#}"));
            Tally { passed: 0, failed: 1 }
        });
        all.add(tally);
        lines.push(format!(
            "  {name:<14}{:>4} passed, {} failed in {seconds:.0} s",
            tally.passed, tally.failed
        ));
    }
    lines.iter().for_each(|line| say(line));
    Ok(all)
}
