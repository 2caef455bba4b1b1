// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left behind: nothing, after thousands of shares and after a hundred killed peers.
//!
//! `cycles` runs in one guest that shares with itself, `kills` with the demo's two guests, one of
//! which is ended again and again at a random moment. The guests' own counts are compared with what
//! Xen says. All that is random comes from one seed, which is printed; `GRANTKIT_SEED=<n>` takes
//! another run's.

mod cycles; // create and destroy, over and over
mod kill; // how and when a peer is ended
mod kills; // peers that are ended, and what survives them
mod survivor; // the one that stays

use anyhow::Result;

use super::extent::Run;
use crate::host::random::{self, Draw};
use crate::host::steps::say;
use crate::judge::tally::Tally;

/// The whole tier, with a built image.
pub fn run(run: &Run) -> Result<Tally> {
    let seed = random::seed()?;
    say(&format!("        GRANTKIT_SEED={seed}"));
    let mut tally = cycles::run(run, seed)?;
    tally.add(kills::run(run, &mut Draw::new(seed))?);
    Ok(tally)
}
