// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sharing between Grantkit and Linux: our share mapped by Linux's gntdev, and Linux's gntalloc
//! mapped by us.
//!
//! One side is our guest at its prompt, the other a program in dom0 that uses Xen's own libraries.
//! After each check Linux's program has ended and the guest's counts are as before; after a failed
//! check the next one gets a new guest.

mod data; // bytes both ways
mod ends; // one side closes, crashes, is killed, destroyed or paused
mod grammar; // the format of result lines
mod notify; // the byte cleared and the event sent at the end
mod sides; // the two sides
mod typing; // a program at the console

use anyhow::Result;

use self::sides::{LINE, Side, Sides};
use super::extent::Run;
use crate::guests::config::Settings;
use crate::guests::image;
use crate::guests::life::{self, GUEST};
use crate::host::steps::step;
use crate::judge::counts::Counts;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, dom0};

/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "read-only shares are mapped writable"),
    Expected::debug(said::NO_REFERENCE, "a reference beyond the table is typed"),
    Expected::debug(said::NO_DOMAIN, "a domain that does not exist is typed"),
    Expected::debug(said::NO_PORT, "a port that does not exist is typed"),
    Expected::debug(said::GREW, "1,024 pages are shared"),
];
/// The number of lines typed to fill the history: more than any check types.
const LINES: usize = 200;

/// Runs the tier with a built image: once, or in full five times.
pub fn run(run: &Run) -> Result<Tally> {
    let peer = dom0::program_with_libraries("peer")?;
    let dom0 = run.dom0(&[image::files()?, vec![peer]].concat())?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "across", ""))?;
    let mut tally = Tally::default();
    for _ in 0..run.extent.of(1, 5) {
        let mut counts = None;
        for (name, check) in [data::CHECKS, notify::CHECKS, ends::CHECKS, typing::CHECKS].concat() {
            tally.check(&mut lab, name, |lab| survived(lab, &mut counts, check))?;
        }
        life::clear(&mut lab)?;
        for (name, check) in ends::LAST {
            tally.check(&mut lab, name, check)?;
            life::clear(&mut lab)?;
        }
    }
    tally.witness(&mut lab, EXPECTED)?;
    Ok(tally)
}

/// Has the existing guest and Linux's devices share a few pages, each as granter and as mapper.
pub fn both_ways(lab: &mut Lab) -> Result<()> {
    let mut sides = Sides::meet(lab)?;
    sides.served()?;
    sides.close_linux()
}

/// Runs a check with the existing guest, or a new one if there is none; afterwards its counts must
/// be as before.
fn survived(
    lab: &mut Lab,
    counts: &mut Option<Counts>,
    check: impl FnOnce(&mut Sides<'_>) -> Result<()>,
) -> Result<()> {
    let before = match counts.take() {
        Some(counts) => counts,
        None => warmed_up(lab)?,
    };
    let mut sides = Sides::meet(lab)?;
    let result = check(&mut sides).and_then(|()| {
        sides.close_linux()?;
        let after = sides.counts()?;
        after.same(&before).map(|()| after)
    });
    match result {
        Ok(after) => *counts = Some(after),
        Err(error) => {
            life::clear(lab)?;
            return Err(error);
        }
    }
    Ok(())
}

/// Creates a guest and grows its tables and lists to the size that the checks need: only then can
/// its heap be compared.
fn warmed_up(lab: &mut Lab) -> Result<Counts> {
    life::at_prompt(lab, &Settings::none())?;
    let mut sides = Sides::meet(lab)?;
    for (granter, times) in [(Side::Linux, 1), (Side::Guest, 3)] {
        for _ in 0..times {
            let pages = sides.pages(granter, 1024, "", "")?;
            let id = if granter == Side::Guest { pages.share } else { pages.map };
            sides.ask(Side::Guest, &format!("notify {id} byte=0"))?;
            sides.part(pages)?;
        }
    }
    let ports = [sides.channel()?, sides.channel()?, sides.channel()?];
    for port in ports {
        sides.ask(Side::Guest, &format!("port close {}", port.guest))?;
    }
    let mark = sides.lab.said(GUEST).len();
    // Not the same line twice in a row: the history would keep only one.
    sides.lab.type_on(GUEST, "sleep 0\rsleep  0\r".repeat(LINES / 2).as_bytes())?;
    sides.answers(mark, LINES)?;
    // The longest line, complete before the shell reads it: no echo is longer.
    let mark = sides.lab.said(GUEST).len();
    let typed = format!("sleep 60000\r{:LINE$}\r\x03", "status");
    sides.lab.type_on(GUEST, typed.as_bytes())?;
    sides.answers(mark, 2)?;
    sides.close_linux()?;
    sides.counts()
}
