// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of the demo's two guests survives while the other is killed again and again at random
//! moments.
//!
//! After each kill the survivor must be as before; after a few it must make a whole run with a new
//! peer.

use anyhow::{Result, ensure};

use super::super::extent::Run;
use super::kill::Kill;
use super::survivor::Survivor;
use crate::guests::config::{self, Settings};
use crate::guests::life::PAIR;
use crate::guests::{image, life};
use crate::host::random::Draw;
use crate::host::steps::{say, step};
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, view};

/// The number of kills between two whole runs: the survivor reports about that many lost peers and
/// then falls silent.
const IN_A_ROW: u32 = 7;

/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "the demo maps a read-only page writable"),
    Expected::perhaps(said::ENDED, "a mapper ends while it maps"),
    Expected::perhaps(said::ENDED_FIRST, "a mapper ends while it maps"),
    Expected::perhaps(said::NOT_GRANTED, "a granter ends before its mapper has mapped"),
    Expected::perhaps(said::NO_DOMAIN, "a granter is gone before its mapper has mapped"),
    Expected::perhaps(said::NO_PORT, "a granter is gone before its mapper has bound"),
];

/// Boots a lab, and kills peers in each role.
pub fn run(run: &Run, draw: &mut Draw) -> Result<Tally> {
    let kills = run.extent.of(5, 100);
    let mut files = image::files()?;
    files.extend(config::files("mortal", Settings::none().memory(8).on_crash("destroy"))?);
    let dom0 = run.dom0(&files)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "leaks-kills", ""))?;
    let mut tally = Tally::default();
    let [granter, mapper] = PAIR;
    for (name, victim) in [(granter, mapper), (mapper, granter)] {
        let mut survivor = None;
        tally.check(&mut lab, &format!("{name}: a whole run before"), |lab| {
            survivor = Some(Survivor::start(lab, name, victim)?);
            Ok(())
        })?;
        let Some(mut survivor) = survivor else { return Ok(tally) };
        for number in 0..kills {
            let kill = Kill::draw(number, draw);
            let before = tally.failed;
            tally.check(&mut lab, &format!("{name}: {victim} {kill}"), |lab| {
                survivor.outlive(lab, &kill)
            })?;
            if tally.failed > before {
                break; // further kills would tell nothing new
            }
            if number % IN_A_ROW == IN_A_ROW - 1 || number + 1 == kills {
                tally.check(&mut lab, &format!("{name}: a whole run after"), |lab| {
                    survivor.serve(lab)
                })?;
            }
        }
        say(&format!("        {name}: {}", survivor.times()));
        tally.check(&mut lab, &format!("{name}: no domain is left"), |lab| {
            for guest in [victim, name] {
                let domid = lab.domid(guest)?;
                life::remove(lab, guest)?;
                domid.map_or(Ok(()), |domid| view::gone(lab, domid))?;
            }
            let listed = lab.xl(&["list"])?;
            ensure!(listed.lines().count() == 2, "xl lists more than dom0:\n{listed}");
            Ok(())
        })?;
    }
    tally.witness(&mut lab, EXPECTED)?;
    Ok(tally)
}
