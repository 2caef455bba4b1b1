//! How much of a tier is run, and on which hypervisor.

use std::path::PathBuf;

/// One run of a tier.
pub struct Run {
    /// How much of it.
    pub extent: Extent,
    /// A hypervisor that was given; otherwise it is Debian's.
    pub xen: Option<PathBuf>,
}

/// How much of a tier is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What every test run has time for.
    Small,
    /// All of it.
    Full,
}

impl Extent {
    /// The figure that belongs to it.
    pub fn of<T>(self, small: T, full: T) -> T {
        match self {
            Extent::Small => small,
            Extent::Full => full,
        }
    }
}
