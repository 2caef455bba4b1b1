//! Every tier on Xen in its full extent: what takes too long for every test run.

use anyhow::Result;

use crate::image;
use crate::tiers::{self, Extent};

/// `./run.sh soak`
pub fn command() -> Result<()> {
    image::build()?;
    tiers::run(Extent::Full)?.verdict("soak")
}
