// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what needs a Linux dom0, under the same Xen and the same clock: the same work on
//! Linux's devices, by programs on Xen's own libraries, and what two domains do together.

use std::time::Duration;

use anyhow::{Context, Error, Result};

use super::between;
use crate::host::steps::step;
use crate::judge::bench::{self, Row, Trips};
use crate::judge::tally::Tally;
use crate::lab::{Lab, dom0};
use crate::tiers::extent::Run;

/// It takes 20 s on an idle processor.
const LIMIT: Duration = Duration::from_secs(300);

/// What was measured.
pub struct Measured {
    /// The rows of two domains.
    pub rows: Vec<Row>,
    /// The histogram of their round trips.
    pub trips: Trips,
    /// What each program on Linux printed, line by line.
    pub linux: [Vec<String>; 2],
}

/// Boots dom0, and measures everything.
pub fn measured(run: &Run, tally: &mut Tally) -> Result<Measured> {
    let costs = dom0::program_with_libraries("costs")?;
    let trips = dom0::program_in_c(between::PROGRAM, "libxenvchan")?;
    let guest = between::files()?;
    let dom0 = run.dom0(&[&[costs, trips], &guest[..]].concat())?;
    let mut lab = step("boot the lab", || Lab::boot_counted(&dom0, "bench-linux"))?;
    let measured = all(&mut lab).with_context(|| lab.excerpts())?;
    tally.witness(&mut lab, &[])?;
    Ok(measured)
}

fn all(lab: &mut Lab) -> Result<Measured> {
    let devices = step("bench on Linux", || {
        let program = lab.start(&["./costs"])?;
        let said = lab.finish_within(program, LIMIT)?;
        anyhow::Ok(said.lines().map(str::to_owned).collect())
    })?;
    let channel = step("bench on libxenvchan", || between::linux_alone(lab))?;
    let (mut rows, trips) = step("bench between two guests", || {
        let lines = between::guests(lab)?;
        let trips = bench::trips(&lines, between::ALL_TRIPS).map_err(Error::msg)?;
        Ok((bench::between(&lines).map_err(Error::msg)?, trips))
    })?;
    rows.extend(step("bench between a guest and libxenvchan", || {
        bench::between(&between::with_linux(lab)?).map_err(Error::msg)
    })?);
    Ok(Measured { rows, trips, linux: [devices, channel] })
}
