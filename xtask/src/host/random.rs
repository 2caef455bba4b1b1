// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run's random numbers, all from one seed, which is printed so that the run can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tasks::pattern::SplitMix64;

/// The seed of this run: `GRANTKIT_SEED`, or a new one.
pub fn seed() -> Result<u64> {
    match std::env::var("GRANTKIT_SEED") {
        Ok(seed) => seed.parse().with_context(|| format!("GRANTKIT_SEED={seed} is not a number")),
        Err(_) => Ok(u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos())),
    }
}

/// Random numbers.
pub struct Draw(SplitMix64);

impl Draw {
    /// The sequence that starts from `seed`.
    pub fn new(seed: u64) -> Draw {
        Draw(SplitMix64::new(seed))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next().unwrap_or(0) % limit // the stream has no end
    }
}
