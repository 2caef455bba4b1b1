//! What is left behind: nothing, after thousands of shares and after a hundred killed peers.
//!
//! `cycles` runs in one guest that shares with itself, `kills` with the demo's two guests, one of which is ended again
//! and again at a random moment. The guests' own counts are compared with what Xen says (`view`). All that is random
//! comes from one seed, which is printed; `GRANTKIT_SEED=<n>` takes another run's.

mod cycles; // create and destroy, over and over
mod kill; // how and when a peer is ended
mod kills; // peers that are ended, and what survives them
pub mod view; // Xen's and dom0's own word for it

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::image;
use crate::steps::say;
use crate::tally::Tally;
use crate::tiers::Extent;

/// `./run.sh leaks`; `full`: as often as `soak` runs it.
pub fn command(full: bool) -> Result<()> {
    image::build()?;
    run(if full { Extent::Full } else { Extent::Mini })?.verdict("leaks")
}

/// The whole tier, with a built image.
pub fn run(extent: Extent) -> Result<Tally> {
    let seed = seed()?;
    say(&format!("        GRANTKIT_SEED={seed}"));
    let mut tally = cycles::run(extent.of(1_000, 10_000), seed)?;
    tally.add(kills::run(extent.of(5, 100), &mut Draw(seed))?);
    Ok(tally)
}

/// Random numbers: SplitMix64.
pub struct Draw(pub u64);

impl Draw {
    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// The seed of this run.
pub fn seed() -> Result<u64> {
    match std::env::var("GRANTKIT_SEED") {
        Ok(seed) => seed.parse().with_context(|| format!("GRANTKIT_SEED={seed} is no number")),
        Err(_) => Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos())),
    }
}
