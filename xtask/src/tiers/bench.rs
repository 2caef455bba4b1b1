//! What each operation costs, in instructions and hypercalls: one guest in dom0's place that
//! grants to itself, with time counted in instructions.
//!
//! Nothing here is wall time, which an emulator makes meaningless.

mod report;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};

use self::report::Environment;
use super::extent::Run;
use crate::guests::image;
use crate::host::paths;
use crate::host::steps::{say, step};
use crate::judge::bench::{self, Baseline, Row};
use crate::judge::tally::Tally;
use crate::judge::witness::{self, Expected, Ours, Seen};
use crate::lab::alone::{Boot, Machine};
use crate::lab::qemu;

/// 10,000 pages that are shared, and the bench's own.
const XEN: &str = "dom0_mem=96M,max:96M";
/// The baseline, in the repository.
const KEPT: &str = "lab/bench.txt";
/// It takes 10 s of an idle processor.
const LIMIT: Duration = Duration::from_secs(600);
/// What Xen says of it.
const EXPECTED: &[Expected] = &[
    Expected {
        line: "Hardware Dom0 shutdown: rebooting machine",
        seen: Seen::Always,
        why: "the guest reboots",
    },
    Expected::debug(witness::said::GREW, "10,000 grants live"),
];

/// Boots the guest, judges what it says, and writes the report.
pub fn run(run: &Run) -> Result<Tally> {
    let kernel = image::fast_guest("bench")?;
    let xen = step("prepare Xen", || qemu::prepare(run.xen.as_deref()))?;
    let boot =
        Boot { xen: &xen, options: XEN, kernel: &kernel, arguments: "", log: "bench", exact: true };
    let measured = step("bench", || {
        let mut machine = Machine::boot(&boot)?;
        let end = machine.run_to_end(LIMIT)?;
        let lines = machine.console().guest();
        let rows = end
            .by_itself()
            .and_then(|()| bench::rows(&lines))
            .map_err(|why| anyhow!("{why}\n{}", machine.excerpt()))?;
        let said = machine.console().xen();
        witness::heard(&said, Ours::Dom0, EXPECTED).map_err(Error::msg)?;
        report::table(&rows).iter().for_each(|line| say(line));
        let environment = Environment::of(&said)?;
        report::write(&rows, &environment)?;
        Ok((rows, environment.versions()))
    });
    let mut tally = Tally::default();
    tally.count(measured.is_ok());
    if let Ok((rows, versions)) = measured {
        tally.count(step("compare with the baseline", || compare(&rows, &versions)).is_ok());
    }
    Ok(tally)
}

/// Nothing is worse than it was; what has moved is told.
fn compare(rows: &[Row], versions: &str) -> Result<()> {
    let new = paths::target().join("bench/baseline.txt");
    fs::write(&new, Baseline::write(versions, rows))?;
    let kept = paths::root().join(KEPT);
    let text = fs::read_to_string(&kept).with_context(|| format!("no {KEPT}"))?;
    let moved = Baseline::parse(&text).map_err(Error::msg)?.compare(versions, rows);
    moved.other.iter().chain(&moved.wrong).for_each(|line| say(&format!("        {line}")));
    let accept = format!("if that is as it should be: cp {} {KEPT}", paths::shown(&new));
    if moved.wrong.is_empty() {
        if !moved.other.is_empty() {
            say(&format!("        {accept}"));
        }
        return Ok(());
    }
    bail!("{} figures are not what they were; {accept}", moved.wrong.len())
}
