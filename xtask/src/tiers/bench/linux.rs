// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what needs a Linux dom0, under the same Xen and the same clock: the same work on
//! Linux's devices, by programs on Xen's own libraries, and what two domains do together.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Error, Result};

use super::plugin::{self, Plugin};
use super::{Parts, between};
use crate::host::steps::{say, step};
use crate::judge::bench::counted::{self, Counted};
use crate::judge::bench::{self, Row, Trips};
use crate::judge::profile::Names;
use crate::judge::tally::Tally;
use crate::lab::{Lab, dom0};
use crate::tiers::extent::Run;

/// It takes 20 s on an idle processor.
const LIMIT: Duration = Duration::from_secs(300);
/// How many functions of a boot are listed.
const LISTED: usize = 16;

/// What was measured.
pub struct Measured {
    /// The rows of two domains, and a guest's boot.
    pub rows: Vec<Row>,
    /// The functions of that boot.
    pub boot: Parts,
    /// The histogram of their round trips.
    pub trips: Trips,
    /// What each program on Linux printed, line by line.
    pub linux: [Vec<String>; 2],
}

/// Boots dom0, and measures everything.
pub fn measured(run: &Run, tally: &mut Tally) -> Result<Measured> {
    let costs = dom0::program_with_libraries("costs")?;
    let trips = dom0::program_in_c(between::PROGRAM, "libxenvchan")?;
    let kernel = between::kernel()?;
    let plugin = step("build the plugin", || Plugin::build(&kernel))?;
    let counts = plugin::file("counts.txt")?;
    let guest = between::files(&kernel)?;
    let dom0 = run.dom0(&[&[costs, trips], &guest[..]].concat())?;
    let option = plugin.counts(&counts);
    let mut lab = step("boot the lab", || Lab::boot_counted(&dom0, "bench-linux", &option))?;
    let mut measured = all(&mut lab).with_context(|| lab.excerpts())?;
    tally.witness(&mut lab, &[])?;
    drop(lab);
    step("whose instructions they were", || {
        let text = fs::read_to_string(&counts).context("the plugin wrote nothing")?;
        let counted = Counted::parse(&text, plugin.entry).map_err(Error::msg)?;
        let boot = shared(&counted, &mut measured, &kernel)?;
        counted::list(&boot, LISTED).iter().for_each(|line| say(line));
        measured.measured.boot = boot;
        Ok(())
    })?;
    Ok(measured.measured)
}

/// What was measured, and what each end that measured printed.
struct Said {
    measured: Measured,
    pair: Vec<String>,
    with_linux: Vec<String>,
}

/// Adds Xen's share, and the row of the boot, whose functions it returns.
fn shared(counted: &Counted, said: &mut Said, kernel: &Path) -> Result<Parts> {
    let Said { measured: Measured { rows, .. }, pair, with_linux } = said;
    let (of_pair, of_linux) = rows.split_at_mut(bench::rows(pair).map_or(0, |rows| rows.len()));
    counted.share(of_pair, pair, between::CONNECTS, between::times).map_err(Error::msg)?;
    counted.share(of_linux, with_linux, between::TO_LINUX, between::times).map_err(Error::msg)?;
    let (row, ran) = counted.boot(between::GUESTS, pair).map_err(Error::msg)?;
    rows.push(row);
    let elf = fs::read(kernel)?;
    let names = Names::new(&elf, None).map_err(Error::msg)?;
    Ok(counted::functions(&ran, |at| {
        names.place(at).frames.last().map_or_else(String::new, |name| name.to_string())
    }))
}

fn all(lab: &mut Lab) -> Result<Said> {
    let devices = step("bench on Linux", || {
        let program = lab.start(&["./costs"])?;
        let said = lab.finish_within(program, LIMIT)?;
        anyhow::Ok(said.lines().map(str::to_owned).collect())
    })?;
    let channel = step("bench on libxenvchan", || between::linux_alone(lab))?;
    let (mut rows, trips, pair) = step("bench between two guests", || {
        let lines = between::guests(lab)?;
        let trips = bench::trips(&lines, between::ALL_TRIPS).map_err(Error::msg)?;
        Ok((bench::between(&lines).map_err(Error::msg)?, trips, lines))
    })?;
    let with_linux = step("bench between a guest and libxenvchan", || between::with_linux(lab))?;
    rows.extend(bench::between(&with_linux).map_err(Error::msg)?);
    let measured = Measured { rows, boot: Parts::new(), trips, linux: [devices, channel] };
    Ok(Said { measured, pair, with_linux })
}
