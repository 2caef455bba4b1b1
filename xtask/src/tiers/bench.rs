// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what each operation costs, in instructions and hypercalls, with time counted in
//! instructions: one guest in dom0's place grants to itself, and Linux's devices do the same. Then
//! two domains work together.
//!
//! Wall time is not measured: in an emulator it means nothing.

mod between; // two domains at work together
mod flame; // a profile, drawn
mod linux; // what needs a Linux dom0
mod page; // the report as a web page
mod plot; // plain SVG
mod plugin; // QEMU's, that counts and records
mod profile; // where the instructions of one row go
mod report; // table, rows, page

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};

use self::report::Environment;
use super::Choice;
use super::extent::Run;
use crate::guests::image;
use crate::host::steps::{say, step};
use crate::host::{browser, paths};
use crate::judge::bench::{self, Baseline, Row};
use crate::judge::tally::Tally;
use crate::judge::witness::{self, Expected, Ours, Seen};
use crate::lab::alone::{Boot, Machine};
use crate::lab::{apt, qemu};

/// Xen's option for the guest's memory: 10,000 shared pages, and the bench's own.
const XEN: &str = "dom0_mem=96M,max:96M";
/// The guest that measures the other faces, and a channel in one domain.
const OTHERS: &str = "faces";
/// The baseline's path in the repository.
const KEPT: &str = "lab/bench.txt";
/// The size of the page's screenshot, in pixels.
const PICTURE: [u32; 2] = [1000, 560];
/// The guest takes 10 s on an idle processor.
const LIMIT: Duration = Duration::from_secs(600);
/// What Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected {
        line: "Hardware Dom0 shutdown: rebooting machine",
        seen: Seen::Always,
        why: "the guest reboots",
    },
    Expected::debug(witness::said::GREW, "10,000 grants live"),
];

/// Parts of a whole, by name.
type Parts = Vec<(String, f64)>;

/// Where the instructions of a row go, instead of all rows.
pub const CHOICE: Choice = Choice {
    option: "profile",
    about: "Fold the instructions of this row by function: map, or map/32 for calls of 32 pages",
    names: Some(|| Ok(kept()?.ops())),
    numbered: true,
};

/// Boots the guest, then dom0, checks their output, and writes the report if everything succeeded.
pub fn run(run: &Run) -> Result<Tally> {
    if let Some(row) = &run.choice {
        return profile::run(run, row);
    }
    let [kernel, others] = [image::fast_guest("bench")?, image::fast_guest(OTHERS)?];
    let xen = step("prepare Xen", || qemu::prepare(run.xen.as_deref()))?;
    report::forget();
    let mut tally = Tally::default();
    let measured = step("bench", || {
        let (mut rows, environment) = measured(&kernel, &xen)?;
        rows.extend(measured(&others, &xen)?.0);
        Ok((rows, environment))
    });
    tally.count(measured.is_ok());
    let Ok((mut rows, environment)) = measured else { return Ok(tally) };
    let written = linux::measured(run, &mut tally).and_then(|with_dom0| {
        step("bench of all", || {
            rows.extend(with_dom0.rows);
            rows.extend(report::images()?);
            for said in &with_dom0.linux {
                bench::beside(&mut rows, said).map_err(Error::msg)?;
            }
            report::table(&rows).iter().for_each(|line| say(line));
            report::write(&rows, &with_dom0.trips, &with_dom0.boot, &environment)
        })
    });
    tally.count(written.is_ok());
    if let Ok(page) = &written {
        tally.count(step("look at the page", || looked_at(page)).is_ok());
    }
    if written.is_ok() {
        let compared =
            step("compare with the baseline", || compare(&rows, &environment.versions()));
        tally.count(compared.is_ok());
    }
    Ok(tally)
}

/// The guest in dom0's place that measures an operation.
fn guest_of(op: &str) -> &'static str {
    let is_others = op.starts_with("loop-") || op.ends_with("-plain") || op.ends_with("-ioctl");
    if is_others { OTHERS } else { "bench" }
}

/// Checks in a browser that nothing on the page overlaps or is cut off, and takes a screenshot.
fn looked_at(page: &Path) -> Result<()> {
    apt::installed(browser::BROWSER, &[browser::BROWSER])?;
    browser::look(page)?;
    let [width, height] = PICTURE;
    browser::picture(page, &page.with_extension("png"), width, height)
}

/// Returns the guest's rows, and what they were measured on.
fn measured(kernel: &Path, xen: &Path) -> Result<(Vec<Row>, Environment)> {
    let log = kernel.file_name().unwrap_or_default().to_string_lossy();
    let boot = Boot { xen, options: XEN, kernel, arguments: "", log: &log, exact: true };
    let mut machine = Machine::boot(&boot)?;
    let end = machine.run_to_end(LIMIT)?;
    let lines = machine.console().guest();
    let rows = end
        .by_itself()
        .and_then(|()| bench::rows(&lines))
        .map_err(|why| anyhow!("{why}\n{}", machine.excerpt()))?;
    let said = machine.console().xen();
    witness::heard(&said, Ours::Dom0, EXPECTED).map_err(Error::msg)?;
    Ok((rows, Environment::of(&said)?))
}

/// The baseline in the repository.
fn kept() -> Result<Baseline> {
    let kept = paths::root().join(KEPT);
    let text = fs::read_to_string(&kept).with_context(|| format!("no {KEPT}"))?;
    Baseline::parse(&text).map_err(Error::msg)
}

/// Checks that nothing has become worse, and prints what has changed.
fn compare(rows: &[Row], versions: &str) -> Result<()> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    let new = folder.join("baseline.txt");
    fs::write(&new, Baseline::write(versions, rows))?;
    let moved = kept()?.compare(versions, rows);
    moved.other.iter().chain(&moved.wrong).for_each(|line| say(&format!("        {line}")));
    let accept = format!("if this is as intended: cp {} {KEPT}", paths::shown(&new));
    if moved.wrong.is_empty() {
        if !moved.other.is_empty() {
            say(&format!("        {accept}"));
        }
        return Ok(());
    }
    bail!("{} figures are wrong; {accept}", moved.wrong.len())
}
