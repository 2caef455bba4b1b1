// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the same work on Linux's devices: a program in dom0 uses Xen's own libraries and shares
//! with dom0 itself, under the same Xen and the same clock.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::steps::step;
use crate::lab::{Lab, dom0};
use crate::tiers::extent::Run;

/// It takes 20 s on an idle processor.
const LIMIT: Duration = Duration::from_secs(300);

/// Boots dom0, and returns the program's output, line by line.
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
