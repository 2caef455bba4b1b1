// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same work on Linux's devices: a program in dom0 on Xen's own libraries, which shares with
//! dom0 itself, under the same Xen and the same clock.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::steps::step;
use crate::lab::{Lab, dom0};
use crate::tiers::extent::Run;

/// It takes 20 s of an idle processor.
const LIMIT: Duration = Duration::from_secs(300);

/// Boots dom0, and returns what the program said, line by line.
pub fn measured(run: &Run) -> Result<Vec<String>> {
    let program = dom0::program_with_libraries("costs")?;
    let dom0 = run.dom0(&[program])?;
    step("bench on Linux", || {
        let mut lab = Lab::boot_counted(&dom0, "bench-linux")?;
        let program = lab.start(&["./costs"])?;
        let said = lab.finish_within(program, LIMIT).with_context(|| lab.excerpts())?;
        Ok(said.lines().map(str::to_owned).collect())
    })
}
