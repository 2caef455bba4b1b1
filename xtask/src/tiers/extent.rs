//! How much of a tier is run.

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
