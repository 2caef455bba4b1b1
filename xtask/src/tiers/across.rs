// SPDX-License-Identifier: MIT OR Apache-2.0
//! Across the two: our share and Linux's gntdev, Linux's gntalloc and our map.
//!
//! A guest of ours at its prompt, and in dom0 a program on Xen's own libraries. After each check
//! Linux's program has ended and what the guest counts is as it was before; after one that fails,
//! the next has a new guest.

mod data; // bytes both ways
mod ends; // one side closed, killed, destroyed, crashed, paused
mod grammar; // what a result line looks like
mod notify; // the byte that is cleared and the event that is sent
mod sides; // the two
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

/// What a debug Xen says of it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "read-only shares are mapped writable"),
    Expected::debug(said::NO_REFERENCE, "a reference beyond the table is typed"),
    Expected::debug(said::NO_DOMAIN, "a domain that is not there is typed"),
    Expected::debug(said::NO_PORT, "a port that is none is typed"),
    Expected::debug(said::GREW, "1,024 pages are shared"),
];
/// More lines than any check types.
const LINES: usize = 200;

/// The tier, with a built image: once, or in full five times.
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

/// The guest that is there and Linux's devices share a few pages, each as granter and as mapper.
pub fn both_ways(lab: &mut Lab) -> Result<()> {
    let mut sides = Sides::meet(lab)?;
    sides.served()?;
    sides.close_linux()
}

/// Makes a check with the guest that is there; afterwards the guest is at its prompt and counts
/// what it did at first.
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

/// Creates a guest whose tables and lists are as large as the checks make them: only then can its
/// heap be compared.
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
    // Not the same line twice in a row: the history would keep one of them.
    sides.lab.type_on(GUEST, "sleep 0\rsleep  0\r".repeat(LINES / 2).as_bytes())?;
    sides.answers(mark, LINES)?;
    // The longest line, all of it there before the shell looks at it: no echo is longer.
    let mark = sides.lab.said(GUEST).len();
    let typed = format!("sleep 60000\r{:LINE$}\r\x03", "status");
    sides.lab.type_on(GUEST, typed.as_bytes())?;
    sides.answers(mark, 2)?;
    sides.close_linux()?;
    sides.counts()
}
