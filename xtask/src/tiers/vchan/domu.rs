// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the crate `vchan-linux` in a Linux domU, against a guest of ours: it has no xenstore
//! daemon of its own, its paths are relative to its own domain, and it may not see other domains.

use anyhow::{Result, ensure};

use super::linux::{EARLY, agree, command, next_domid, words};
use super::{LONG, NAME, SOON, there};
use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, PAIR};
use crate::judge::tally::Tally;
use crate::lab::{Lab, domu};
use crate::tiers::extent::Extent;

/// Boots the domU, and runs all checks in it.
pub fn checks(lab: &mut Lab, extent: Extent, tally: &mut Tally) -> Result<()> {
    let bytes = extent.of(8, 64) << 20;
    let mib = bytes >> 20;
    tally.check(lab, "a Linux domU boots", |lab| {
        life::create(lab, domu::NAME, domu::NAME, &Settings::none())?;
        lab.says(domu::NAME, 0, "ready").map(drop)
    })?;
    for serves in [false, true] {
        let role = if serves { "server" } else { "client" };
        for (work, back) in [("source", "sink"), ("sink", "source")] {
            let name = format!("{mib} MiB, a Linux domU's {role} is a {work}");
            tally.told(lab, &name, |lab| with_guest(lab, serves, (work, back), bytes))?;
        }
    }
    tally.check(lab, "a Linux domU's server waits for a guest that doesn't exist yet", early)?;
    tally.check(lab, "a Linux domU's server notices a destroyed guest", destroyed)?;
    life::remove(lab, domu::NAME)
}

fn with_guest(
    lab: &mut Lab,
    serves: bool,
    (work, back): (&str, &str),
    bytes: u64,
) -> Result<String> {
    let guest = PAIR[0];
    let (domid, linux) = (there(lab, guest)?, there(lab, domu::NAME)?);
    let theirs = lab.command(guest, &command(!serves, linux, back, bytes))?;
    let ours = lab.command(domu::NAME, &words(serves, domid, work, bytes))?;
    let (theirs, ours) = (lab.answer(guest, theirs, LONG)?, lab.answer(domu::NAME, ours, LONG)?);
    agree(&ours, &theirs, bytes)
}

/// Destroys a guest that is the client of the domU's server.
fn destroyed(lab: &mut Lab) -> Result<()> {
    let linux = there(lab, domu::NAME)?;
    let guest = life::create(lab, GUEST, NAME, &Settings::none())?;
    let ours = lab.command(domu::NAME, &words(true, guest, "sink", 10))?;
    lab.command(GUEST, &command(false, linux, "sink", 10))?;
    lab.says(domu::NAME, ours, "open")?;
    lab.xl(&["destroy", GUEST])?;
    let line = lab.answer(domu::NAME, ours, SOON)?;
    ensure!(line.contains(" errno=EPIPE ") && line.contains("bytes=0"), "{line}");
    life::forget(lab, GUEST)
}

/// Publishes for a guest before it exists.
fn early(lab: &mut Lab) -> Result<()> {
    let (linux, reader) = (there(lab, domu::NAME)?, next_domid(lab)?);
    let ours = lab.command(domu::NAME, &words(true, reader, "source", EARLY))?;
    ensure!(life::create(lab, GUEST, NAME, &Settings::none())? == reader, "not domain {reader}");
    let connect = command(false, linux, "sink", EARLY);
    let theirs = lab.answered(GUEST, &connect)?;
    agree(&lab.answer(domu::NAME, ours, LONG)?, &theirs, EARLY)?;
    life::remove(lab, GUEST)
}
