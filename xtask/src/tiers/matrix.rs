// SPDX-License-Identifier: MIT OR Apache-2.0
//! The matrix: runs our guests in both modes on other hosts, each with its own Xen, xl and Linux.
//!
//! Each row is a lab of its own. Not every combination has a row: each release meets both xenstore
//! daemons, XPTI on and off, and one and four processors, and each pair of values of two of these
//! occurs on some release. A row whose packages are unavailable is not run, and its line says so.

mod rows; // the rows, and the table of results

use std::path::PathBuf;

use anyhow::{Error, Result, anyhow, bail, ensure};

use self::rows::{Cell, Line, ROWS, Row, table};
use super::Choice;
use super::extent::{Extent, Run};
use super::{across, pair};
use crate::guests::config::Settings;
use crate::guests::life::{GUEST, PAIR, abandon, at_prompt, clear};
use crate::guests::{demo, image};
use crate::host::children;
use crate::host::steps::{say, step};
use crate::judge::reply;
use crate::judge::tally::{NotRun, Tally};
use crate::judge::witness::{Expected, said};
use crate::lab::apt::Release;
use crate::lab::qemu::Hardware;
use crate::lab::{Lab, Mode, debian, dom0};

/// The tier's name, for its command, which always runs all rows.
pub const NAME: &str = "matrix";

/// One row of them.
pub const CHOICE: Choice = Choice {
    option: "row",
    about: "Run this row alone, such as bookworm-xenstored",
    names: Some(|| Ok(ROWS.iter().map(Row::name).collect())),
    numbered: false,
};

/// How often a check is made if xl faults each time.
const TRIES: u32 = 3;

/// A check: its name, and what it does.
type Check = (&'static str, fn(&mut Lab) -> Result<()>);

/// The checks on every host, in either mode.
const CHECKS: [Check; 4] = [
    ("demo", demonstrated),
    ("self-test", selftest),
    ("Linux", both_ways),
    ("crash", pair::crashed),
];

/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::perhaps(said::READ_ONLY, "the demo maps a read-only page"),
    Expected::perhaps(said::ENDED, "the demo's mapper is destroyed while it maps"),
    Expected::perhaps(said::NO_DOMAIN, "the self-test maps from a domain that does not exist"),
    Expected::perhaps(said::NO_REFERENCE, "the self-test maps a reference that does not exist"),
    Expected::perhaps(said::MAPPED, "the self-test maps a page too often"),
    Expected::perhaps(said::GREW, "pages are shared"),
];

/// Runs the rows that `test` includes, or all of them.
pub fn run(run: &Run) -> Result<Tally> {
    ensure!(run.xen.is_none(), "the matrix has its own hypervisors");
    let peer = dom0::program_with_libraries("peer")?;
    let files = [image::files()?, vec![peer]].concat();
    let mut tally = Tally::default();
    let mut lines = Vec::new();
    let wanted = |row: &&Row| match &run.choice {
        Some(name) => row.name() == *name,
        None => row.in_test || run.extent == Extent::Full,
    };
    for row in ROWS.iter().filter(wanted) {
        say(&format!("row     {row}"));
        lines.extend(lines_of(row, &files, &mut tally)?);
    }
    table(&lines).iter().for_each(|line| say(line));
    match lines.iter().filter(|line| line.is_not_run()).count() {
        lines if lines > 0 && tally.failed == 0 => Err(NotRun(tally.passed, lines).into()),
        _ => Ok(tally),
    }
}

/// Runs a row's checks, and returns a line of the table for each mode.
fn lines_of(row: &'static Row, files: &[PathBuf], tally: &mut Tally) -> Result<[Line; 2]> {
    let had = dom0::prepare_with(Release::named(row.release), files, None, Mode::Pv, None);
    let had = had.and_then(|dom0| {
        let qemu = row.qemu.map(|of| debian::qemu(Release::named(of))).transpose()?;
        Ok((dom0, Hardware { qemu, cpu: row.cpu, processors: row.processors }))
    });
    let (dom0, hardware) = match had {
        Ok(had) => had,
        Err(_) if children::interrupted() => bail!("interrupted"),
        Err(error) => return Ok(row.not_run(&format!("{error:#}"))),
    };
    let name = format!("matrix-{}", row.name());
    let store = format!("xenstore={}", row.store);
    let mut lab = match step("boot", || Lab::boot_on(&hardware, &row.xen(), &dom0, &name, &store)) {
        Ok(lab) => lab,
        Err(_) if children::interrupted() => bail!("interrupted"),
        Err(_) => return Ok(row.not_run("dom0 did not come up")),
    };
    let (xen, linux) = lab.versions();
    let host = format!("{xen}, {linux}, {}", hardware.version()?);
    tally.check(&mut lab, "the machine is the row's", |lab| {
        let log = String::from_utf8_lossy(&lab.xen_log()?).into_owned();
        row.signs().iter().try_for_each(|sign| {
            ensure!(log.contains(sign), "Xen did not say `{sign}`");
            Ok(())
        })
    })?;
    let mut whole = true;
    let mut line = |mode| {
        lab.run_as(mode);
        let mut cells = Vec::new();
        for (name, check) in CHECKS {
            let before = tally.failed;
            // If a guest can't be removed, the lab is of no more use.
            let check = |lab: &mut Lab| {
                ensure!(whole, "an earlier check left a guest behind");
                let mut checked = check(lab);
                for _ in 1..TRIES {
                    let Some(why) = checked.as_ref().err().filter(|why| xl_faulted(why)) else {
                        break;
                    };
                    say(&format!("        once more: {why:#}"));
                    checked = abandon(lab).and_then(|()| check(lab));
                }
                whole = clear(lab).is_ok();
                checked.and_then(|()| {
                    ensure!(whole, "its guest can't be removed");
                    Ok(())
                })
            };
            tally.check(&mut lab, &format!("{}: {name}", word(mode)), check)?;
            cells.push(Cell::of(tally.failed == before));
        }
        Ok::<_, Error>(Line { row, host: host.clone(), mode: word(mode), cells })
    };
    let lines = [line(Mode::Pv)?, line(Mode::Pvh)?];
    tally.witness(&mut lab, EXPECTED)?;
    Ok(lines)
}

/// Whether Debian 12's xl has corrupted its own heap, as it does now and then in QEMU 10.0.13, and
/// its C library has ended it. That says nothing about the guest, so its check is made again.
fn xl_faulted(error: &Error) -> bool {
    let why = format!("{error:#}");
    let signs =
        ["a program was ended by signal ", "ended with status 134:", "ended with status 139:"];
    signs.iter().any(|sign| why.contains(sign))
}

fn demonstrated(lab: &mut Lab) -> Result<()> {
    for step in demo::prove(lab, PAIR, false, &Settings::none())?.steps {
        step.outcome.map_err(|why| anyhow!("step {}: {why}", step.number))?;
    }
    Ok(())
}

fn selftest(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    lab.ask(GUEST, "selftest")?;
    reply::all_passed(&lab.lines(GUEST), "selftest").map_err(Error::msg)?;
    let status = lab.ask(GUEST, "status")?;
    let mode = format!(" mode={}", word(lab.mode()));
    ensure!(status.ends_with(&mode), "{status}");
    Ok(())
}

/// Checks that a guest and Linux's devices can share pages, each as granter and as mapper.
fn both_ways(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    across::both_ways(lab)
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Pv => "pv",
        Mode::Pvh => "pvh",
    }
}
