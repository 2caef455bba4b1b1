// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results of checks: why one failed, how many did, and whether anything is left behind.

use core::fmt::{self, Write};

use drivers::gntalloc::Busy;
use drivers::gntdev::Failed;
use drivers::memory::Platform;
use drivers::{Errno, Error, Pages, PeerState, Services};

use crate::text::{Text, Words};

/// How many checks passed and failed.
#[derive(Debug, Default)]
pub struct Score {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Score {
    /// Counts a verdict.
    pub(crate) fn count<T, E>(&mut self, verdict: &Result<T, E>) {
        match verdict {
            Ok(_) => self.passed += 1,
            Err(_) => self.failed += 1,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passed={} failed={}", self.passed, self.failed)
    }
}

/// Why a check failed.
#[derive(Debug)]
pub struct Why(Words);

/// A check's result.
pub type Verdict = Result<(), Why>;

impl Why {
    /// From words.
    pub fn new(words: fmt::Arguments<'_>) -> Self {
        // If there is no memory for the words, there is just the name of the check.
        Self(Words::new(words))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl core::error::Error for Why {}

impl From<Error> for Why {
    fn from(error: Error) -> Self {
        Self::new(format_args!("{error} ({})", error.errno()))
    }
}

impl From<vchan::Error> for Why {
    fn from(error: vchan::Error) -> Self {
        Self::new(format_args!("{error} ({})", error.errno()))
    }
}

impl<T> From<Failed<T>> for Why {
    fn from(failed: Failed<T>) -> Self {
        failed.error.into()
    }
}

impl<T> From<Busy<T>> for Why {
    fn from(busy: Busy<T>) -> Self {
        Self::new(format_args!("{busy}"))
    }
}

/// Fails unless `is` equals `should`.
///
/// # Errors
/// If not; the error names `what`, and both values.
pub fn equal<T: PartialEq + fmt::Debug>(what: &str, is: T, should: T) -> Verdict {
    if is == should {
        return Ok(());
    }
    Err(Why::new(format_args!("{what} is {is:?}, not {should:?}")))
}

/// The same for types that our own checks compare: derived `Debug` and quoting would take 6 KiB of
/// the image.
///
/// # Errors
/// As [`equal`].
pub(crate) fn same<T: PartialEq + Shown>(what: &str, is: T, should: T) -> Verdict {
    if is == should {
        return Ok(());
    }
    Err(differs(what, &is, &should))
}

#[cold]
fn differs(what: &str, is: &dyn Shown, should: &dyn Shown) -> Why {
    let mut words = Text::new();
    // As in `Why::new`.
    let _ = write!(words, "{what} is ")
        .and_then(|()| is.show(&mut words))
        .and_then(|()| write!(words, ", not "))
        .and_then(|()| should.show(&mut words));
    Why(words.into())
}

/// A value that [`same`] can print.
pub(crate) trait Shown {
    /// Writes it.
    fn show(&self, to: &mut Text) -> fmt::Result;
}

macro_rules! shown {
    ($($type:ty),*) => {$(
        impl Shown for $type {
            fn show(&self, to: &mut Text) -> fmt::Result {
                write!(to, "{self}")
            }
        }
    )*};
}

shown!(&str, bool, u8, u32, u64, usize, Pages, PeerState, Errno);

impl<T: Shown> Shown for Option<T> {
    fn show(&self, to: &mut Text) -> fmt::Result {
        match self {
            Some(value) => value.show(to),
            None => to.write_str("-"),
        }
    }
}

impl<T: Shown, const N: usize> Shown for [T; N] {
    fn show(&self, to: &mut Text) -> fmt::Result {
        for (place, value) in self.iter().enumerate() {
            to.write_str(if place == 0 { "[" } else { " " })?;
            value.show(to)?;
        }
        to.write_str("]")
    }
}

/// What is in use. A check must not leave any of it higher than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InUse {
    /// Grant entries, apart from those reserved for Xen.
    pub grants: u32,
    /// Parked pages: only the peer holds them.
    pub parked: u32,
    /// Pages mapped, stuck ones included.
    pub maps: u32,
    /// References reserved.
    pub reserved: u32,
    /// Event channels open.
    pub ports: u32,
    /// Frames of memory in use.
    pub frames: u32,
}

impl InUse {
    /// What is in use now.
    pub fn of<X: Platform>(services: &Services<X>) -> Self {
        let (usage, frames) = (services.gntdev.usage(), services.system.frames());
        Self {
            grants: services.gntalloc.in_use(),
            parked: services.gntalloc.parked(),
            maps: usage.mapped + usage.stuck,
            reserved: usage.reserved,
            ports: services.events.open_ports(),
            frames: frames.total - frames.free,
        }
    }

    /// What is in use now, if none of it is higher than before.
    ///
    /// # Errors
    /// If any is; the error has the present and the previous counts.
    pub fn restored<X: Platform>(services: &Services<X>, before: Self) -> Result<Self, Why> {
        let after = Self::of(services);
        if after.is_within(&before) {
            return Ok(after);
        }
        Err(Why::new(format_args!("in use: {after}; before: {before}")))
    }

    /// Whether nothing is higher than before.
    fn is_within(&self, before: &Self) -> bool {
        self.grants <= before.grants
            && self.parked <= before.parked
            && self.maps <= before.maps
            && self.reserved <= before.reserved
            && self.ports <= before.ports
            && self.frames <= before.frames
    }
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grants, parked, maps, reserved, ports, frames } = self;
        write!(
            f,
            "grants={grants} parked={parked} maps={maps} reserved={reserved} ports={ports} \
             frames={frames}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drivers::gntdev::ReadWrite;
    use drivers::{Call, Errno};
    use fake_xen::Pair;

    #[test]
    fn what_differs_is_shown() {
        assert!(same("it", [1_u32, 2], [1, 2]).is_ok());
        let words = |verdict: Verdict| alloc::string::ToString::to_string(&verdict.unwrap_err());
        assert_eq!(words(same("a page", Some(PeerState::Idle), None)), "a page is idle, not -");
        assert_eq!(words(same("both", [1_u32, 2], [1, 3])), "both is [1 2], not [1 3]");
    }

    #[test]
    fn more_of_anything_in_use_is_found() {
        let none = InUse { grants: 0, parked: 0, maps: 0, reserved: 0, ports: 0, frames: 0 };
        let more = [
            InUse { grants: 1, ..none },
            InUse { parked: 1, ..none },
            InUse { maps: 1, ..none },
            InUse { reserved: 1, ..none },
            InUse { ports: 1, ..none },
            InUse { frames: 1, ..none },
        ];
        assert!(none.is_within(&none));
        for more in more {
            assert!(none.is_within(&more) && !more.is_within(&none), "{more:?}");
        }
    }

    #[test]
    fn a_page_that_xen_will_not_unmap_is_in_use() {
        let pair = Pair::new();
        let export = pair.alice.share(&pair.bob, 1);
        let mapping = pair.bob.map::<ReadWrite>(&pair.alice.offer(&export));
        assert_eq!(InUse::of(&pair.bob.services).maps, 1);
        pair.bob.xen.deny(Call::GnttabUnmap, Some(Errno::EFAULT));
        drop(mapping);
        assert_eq!(InUse::of(&pair.bob.services).maps, 1);
        pair.bob.xen.deny(Call::GnttabUnmap, None);
        pair.bob.services.gntdev.retry_stuck();
        assert_eq!(InUse::of(&pair.bob.services).maps, 0);
        drop(export);
        pair.assert_clean();
    }
}
