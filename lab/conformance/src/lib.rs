// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios on the two grant devices, written once and run on Linux's and on ours.
//!
//! A [`Scenario`] makes calls and prints one line for each: `<scenario> <step> <call> -> <result>`.
//! It sees a [`System`], which has the shape of Linux's system calls: in dom0 that is Linux, in a
//! guest of ours the ioctl face of the services, on the host the same on a fake Xen. All grants are
//! to the own domain, so that one domain is enough.
//!
//! Two systems that behave alike print the same lines: indices, references, addresses and ports are
//! named by the order in which they were seen. What may differ, and how, is in [`differences`]; who
//! compares is not in here. The crate takes numbers and layouts from `xen-sys` and knows of neither
//! system.
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
//! [`all`] scenarios, each a [`Scenario`] that writes its lines by a [`Script`] on a [`System`];
//! [`differences`] is what is expected to differ.
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

/// What is tried, under a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Words joined by hyphens; no two have the same.
    pub name: &'static str,
    run: fn(&mut Script<'_>),
}

/// All scenarios, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    scenarios::TOPICS.iter().copied().flatten()
}

impl Scenario {
    /// Runs it, and leaves nothing behind. `say` gets each line.
    pub fn run(&self, system: &mut dyn System, say: &mut dyn FnMut(&str)) {
        (self.run)(&mut Script::new(self.name, system, say));
        system.finish();
    }
}

/// The last line of a transcript: without it, or with other numbers, it's not whole.
pub fn last_line(lines: usize) -> String {
    format!("end scenarios={} lines={lines}", all().count())
}

/// How many lines a transcript's last line says there were before it.
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
            assert!(seen.insert(scenario.name), "{} is there twice", scenario.name);
        }
    }

    #[test]
    fn the_last_line_counts_what_came_before() {
        assert_eq!(lines_told(&last_line(17)), Some(17));
        assert_eq!(lines_told("end scenarios=0 lines=17"), None);
        assert_eq!(lines_told("map-none 1 open gntdev -> ok"), None);
    }
}
