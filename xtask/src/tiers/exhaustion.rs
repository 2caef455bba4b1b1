// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uses up the grants, mappings and event channels of a guest with small tables.
//!
//! The guest checks the errors, what keeps working, and its own counts. Here its figures must be
//! the ones that xl's settings allow, and Xen's own tables must agree: 255 mappings while
//! everything is used up, and afterwards the state before.

mod memory; // memory used up by commands at the prompt
mod output; // 1 MiB of console output at once

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::{image, life};
use crate::host::steps::{say, step};
use crate::judge::reply::Reply;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::Lab;
use crate::lab::view::{self, Active};

const GUEST: &str = "exhaust";
/// xl settings: one frame of 512 grant entries, one of 256 mappings, and ports 1 to 20.
const SETTINGS: [(&str, u64); 3] =
    [("max_grant_frames", 1), ("max_maptrack_frames", 1), ("max_event_channels", 20)];
/// What these leave for the guest: references 0 to 7 are reserved for Xen, and one mapping is never
/// handed out.
const LEFT: [(&str, u64); 3] = [("grants", 504), ("mappings", 255), ("ports", 20)];
/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::NO_ROOM, "all mappings are used up"),
    Expected::debug(said::NO_PORT_LEFT, "all ports are used up"),
    Expected::debug(said::GREW, "all memory is shared"),
];
/// How long all rounds may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the tier: boots a lab, and runs the rounds in it.
pub fn run(run: &Run) -> Result<Tally> {
    let rounds = run.extent.of(2, 10);
    let settings = Settings::none().memory(8).extra(&format!("rounds={rounds}"));
    let settings =
        SETTINGS.into_iter().fold(settings, |settings, (key, value)| settings.number(key, value));
    let mut files = image::files()?;
    files.extend(config::files(GUEST, settings)?);
    files.extend(output::files()?);
    let dom0 = run.dom0(&files)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "exhaustion", ""))?;
    let mut tally = Tally::default();
    let name = "beyond the last grant, mapping and port there are errors, and all else works";
    tally.check(&mut lab, name, |lab| check(lab, rounds))?;
    for _ in 0..run.extent.of(1, 10) {
        let name = "memory used up at the prompt; a peer maps and unmaps; poweroff";
        tally.told(&mut lab, name, memory::check)?;
        life::clear(&mut lab)?;
        tally.told(&mut lab, "1 MiB of output, and nobody reads input", output::check)?;
    }
    tally.witness(&mut lab, EXPECTED)?;
    Ok(tally)
}

fn check(lab: &mut Lab, rounds: u64) -> Result<()> {
    let domid = life::create(lab, GUEST, GUEST, &Settings::none())?;
    lab.says(GUEST, 0, "exhaust: ready")?;
    let before = view::grants(lab)?;

    lab.type_on(GUEST, b"\r")?;
    lab.says(GUEST, 0, "exhaust: nothing is left")?;
    let full = mappings(&view::grants(lab)?, domid);
    ensure!(full == LEFT[1].1, "with nothing left, Xen shows {full} mappings");

    lab.type_on(GUEST, b"\r")?;
    let line = lab.answer(GUEST, 0, LIMIT)?;
    say(&format!("        {line}"));
    judged(&line, rounds)?;
    let after = view::grants(lab)?;
    ensure!(after == before, "Xen's grants were {before:?} and are {after:?}");

    lab.type_on(GUEST, b"\r")?;
    view::gone(lab, domid)
}

/// Checks that the guest's last line reports all rounds, with the figures in [`LEFT`].
fn judged(line: &str, rounds: u64) -> Result<()> {
    let reply = Reply::parse(line).filter(|reply| reply.ok && reply.command == "exhaust");
    let reply = reply.context("not every round passed")?;
    for (key, value) in LEFT.into_iter().chain([("rounds", rounds)]) {
        ensure!(reply.number(key) == Some(value), "its line does not say {key}={value}");
    }
    Ok(())
}

/// How many mappings of its own grants a domain has, by Xen's pin counts: one byte each for writes
/// and reads, by processors and by devices.
fn mappings(grants: &[Active], domid: u32) -> u64 {
    let own = grants.iter().filter(|entry| entry.granter == domid && entry.mapper == domid);
    let pins = own.map(|entry| u32::from_str_radix(entry.pin.trim_start_matches("0x"), 16));
    pins.map(|pin| pin.unwrap_or(0).to_ne_bytes().map(u64::from).iter().sum::<u64>()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_of_all_kinds_count_for_the_domain_itself_and_no_other() {
        let active =
            |granter, mapper, pin: &str| Active { granter, gref: 8, mapper, pin: pin.into() };
        let grants =
            [active(3, 3, "0x00000080"), active(3, 3, "0x0000017f"), active(3, 0, "0x00000001")];
        assert_eq!(mappings(&grants, 3), 256);
        assert_eq!(mappings(&grants, 0), 0);
    }

    #[test]
    fn a_line_needs_all_rounds_and_the_right_figures() {
        let line = "ok exhaust rounds=10 grants=504 mappings=255 ports=20";
        assert!(judged(line, 10).is_ok());
        assert!(judged(line, 9).is_err());
        for (is, should_not_be) in [
            ("504", "503"),
            ("=255", "=256"),
            (" ports=20", ""),
            ("ok exhaust", "ok cycles"),
            ("ok", "error"),
        ] {
            assert!(judged(&line.replace(is, should_not_be), 10).is_err(), "{should_not_be}");
        }
    }
}
