// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios for the two grant devices, written once and run on Linux's and on Grantkit's.
//!
//! A [`Scenario`] makes calls and prints one line for each: `<scenario> <step> <call> -> <result>`.
//! It runs on a [`System`], which has the shape of Linux's system calls: Linux itself in dom0, the
//! ioctl API of the services in a Grantkit guest, and the same on FakeXen on the host. All grants
//! are to the domain itself, so that one domain is enough.
//!
//! Two systems that behave alike print the same lines: indices, grefs, addresses and ports are
//! named in the order in which they appear. [`differences`] lists what may differ, and how; the
//! comparison itself is made elsewhere. The crate takes numbers and layouts from `xen-sys` and
//! depends on neither system.
//!
//! ```
//! // A transcript ends in a line that says how long it was.
//! let last = conformance::last_line(1824);
//! assert_eq!(last, format!("end scenarios={} lines=1824", conformance::all().count()));
//! assert_eq!(conformance::lines_told(&last), Some(1824));
//! // What may differ is a list, by scenario and step.
//! let first = conformance::differences::expected()[0].line;
//! assert!(conformance::all().any(|scenario| first.starts_with(scenario.name)));
//! ```
//!
//! # Map
//!
//! [`all`] returns the scenarios. Each is a [`Scenario`], which writes its lines with a [`Script`]
//! on a [`System`]. [`differences`] lists what is expected to differ.
#![no_std]

extern crate alloc;

mod argument;
pub mod differences;
mod names;
mod scenarios;
mod script;
mod system;

use alloc::format;
use alloc::string::String;

pub use self::script::Script;
/// [`GrantDevice`] by its former name.
pub use self::system::GrantDevice as Device;
pub use self::system::{Errno, GrantDevice, System};

/// Bytes of a page.
const PAGE: u64 = 4096;

/// A named series of calls.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Words joined by hyphens. Unique.
    pub name: &'static str,
    run: fn(&mut Script<'_>),
}

/// Returns all scenarios, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    scenarios::TOPICS.iter().copied().flatten()
}

impl Scenario {
    /// Runs the scenario and leaves nothing behind. Calls `say` with each line.
    pub fn run(&self, system: &mut dyn System, say: &mut dyn FnMut(&str)) {
        (self.run)(&mut Script::new(self.name, system, say));
        system.finish();
    }
}

/// Returns the last line of a transcript. A transcript without it, or with other numbers in it, is
/// incomplete.
pub fn last_line(lines: usize) -> String {
    format!("end scenarios={} lines={lines}", all().count())
}

/// Returns the number of preceding lines that a transcript's last line states; `None` if it isn't
/// such a line, or the number of scenarios is wrong.
pub fn lines_told(last: &str) -> Option<usize> {
    let (scenarios, lines) = last.strip_prefix("end scenarios=")?.split_once(" lines=")?;
    (scenarios.parse() == Ok(all().count())).then_some(())?;
    lines.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_single_words_and_differ() {
        let mut seen = BTreeSet::new();
        for scenario in all() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(scenario.name.chars().all(plain), "{}", scenario.name);
            assert!(seen.insert(scenario.name), "{} appears twice", scenario.name);
        }
    }

    #[test]
    fn the_last_line_counts_what_came_before() {
        assert_eq!(lines_told(&last_line(17)), Some(17));
        assert_eq!(lines_told("end scenarios=0 lines=17"), None);
        assert_eq!(lines_told("map-none 1 open gntdev -> ok"), None);
    }
}
