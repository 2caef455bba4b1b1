// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile guest, and the guests it must not be able to harm.
//!
//! There are three domains: `hostile` (lab/trials/src/bin/hostile.rs), and the demo's `granter` and
//! `mapper`, which run the normal image and are the victims and each other's honest peers. Each
//! attack is one check and one line, which says what was tried and how the victims answered. Both
//! victims must then be as before, and have served each other during the attack or right after it.

mod demo; // false peers in the demo
mod feed; // a ring that is always full
mod grants; // references, entries, mappings
mod nonsense; // nonsense in xenstore nodes
mod rest; // events, watches, sudden ends
mod victims; // the three domains, and the victims' state before

use anyhow::{Context, Result, ensure};

use self::victims::{Attack, HOSTILE, Victims, bring_hostile, honest, whole_run};
use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::image;
use crate::host::steps::step;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, view};

/// Attacks that the hostile guest outlives.
const ATTACKS: [&[Attack]; 4] = [grants::ATTACKS, demo::LURES, demo::CALLS, rest::ATTACKS];

/// What a debug Xen logs about them.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "a read-only grant is mapped writable"),
    Expected::debug(said::NO_REFERENCE, "references beyond the table are guessed"),
    Expected::debug(said::NOT_GRANTED, "references that are not granted are guessed and offered"),
    Expected::debug(said::MAPPED, "references that another maps are guessed"),
    Expected::debug(said::NO_PORT, "a port that does not exist is offered"),
    Expected::debug(said::ENDED, "the hostile guest ends while it maps"),
    Expected::debug(said::ENDED_FIRST, "the hostile guest ends while it maps"),
];

/// Runs every attack with a built image: once, or in full twice.
pub fn run(run: &Run) -> Result<Tally> {
    let mut files = image::files()?;
    files.extend(config::files(HOSTILE, Settings::none().memory(8).on_crash("destroy"))?);
    let dom0 = run.dom0(&files)?;
    let mut tally = Tally::default();
    for _ in 0..run.extent.of(1, 2) {
        let mut lab = step("boot the lab", || Lab::boot(&dom0, "hostile", ""))?;
        let mut victims = step("a hostile guest and two honest ones", || {
            Victims::bring(&mut lab, run.extent.of(2_000, 10_000))
        })?;
        for (name, attack) in ATTACKS.concat() {
            tally.told(&mut lab, name, |lab| {
                let words = attack(lab, &victims)?;
                unharmed(lab, &victims)?;
                Ok(words)
            })?;
        }
        for (name, attack) in rest::ENDS {
            tally.told(&mut lab, name, |lab| {
                let words = attack(lab, &victims)?;
                view::gone(lab, victims.hostile)?;
                unharmed(lab, &victims)?;
                victims.hostile = bring_hostile(lab)?;
                Ok(words)
            })?;
        }
        tally.told(&mut lab, "in the end", |lab| in_the_end(lab, &victims))?;
        tally.witness(&mut lab, EXPECTED)?;
    }
    tally.add(feed::run(&dom0, run.extent.of(1, 10), EXPECTED)?);
    Ok(tally)
}

fn unharmed(lab: &mut Lab, victims: &Victims) -> Result<()> {
    victims.unharmed(lab)?;
    honest(lab).context("the honest peer afterwards")
}

fn in_the_end(lab: &mut Lab, victims: &Victims) -> Result<String> {
    whole_run(lab)?;
    victims.unharmed(lab)?;
    lab.xl(&["destroy", HOSTILE])?;
    view::gone(lab, victims.hostile)?;
    let (before, after) = (&victims.entries, victims.grants(lab)?);
    ensure!(&after == before, "Xen's view was {before:?}, is {after:?}");
    Ok("a whole run of the demo, Xen's entries as before, no zombie".into())
}
