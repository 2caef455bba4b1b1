//! Stub.
use core::fmt;
use drivers::Services;
use drivers::memory::Platform;
/// How many.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passed={} failed={}", self.passed, self.failed)
    }
}
pub(crate) async fn run<X: Platform>(_services: &Services<X>) -> Tally {
    Tally::default()
}
