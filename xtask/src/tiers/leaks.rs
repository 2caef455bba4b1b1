// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that nothing is left behind after thousands of shares and a hundred killed peers.
//!
//! `cycles` uses one guest that shares with itself; `kills` uses the demo's two guests, one of
//! which is killed again and again at random moments. The guests' own counts must be as before, and
//! so must Xen's view of them. All randomness comes from one seed, which is printed;
//! `GRANTKIT_SEED=<n>` repeats a run.

mod cycles; // sharing, over and over
mod kill; // how and when a peer is killed
mod kills; // kills peers of a surviving guest
mod survivor; // the guest that survives

use anyhow::Result;

use super::extent::Run;
use crate::host::random::{self, Draw};
use crate::host::steps::say;
use crate::judge::tally::Tally;

/// Runs the tier with a built image.
pub fn run(run: &Run) -> Result<Tally> {
    let seed = random::seed()?;
    say(&format!("        GRANTKIT_SEED={seed}"));
    let mut tally = cycles::run(run, seed)?;
    tally.add(kills::run(run, &mut Draw::new(seed))?);
    Ok(tally)
}
