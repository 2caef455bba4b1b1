// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log lines of a demo guest after each turn, at level debug: what is in use, and what it has
//! done since boot.

use tasks::demo::letter::kind;

/// A guest's state after a turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Xen's time in seconds, the same for all guests.
    pub at: f64,
    /// The turn's kind; 0 before the first.
    pub kind: u32,
    /// Pages that it has granted, including parked ones, which only the peer still holds.
    pub granted: u64,
    pub parked: u64,
    /// Other domains' pages that it maps.
    pub mapped: u64,
    /// Since boot, as is `events`.
    pub hypercalls: u64,
    pub events: u64,
}

impl Seen {
    /// Parses a console line; `None` if it is any other line.
    pub fn parse(line: &str) -> Option<Seen> {
        let (at, rest) = line.strip_prefix('[')?.split_once(']')?;
        let words = rest.trim_start().strip_prefix("DEBUG demo: seen ")?;
        let mut numbers = words.split(' ');
        let mut number = |key: &str| {
            let value = numbers.next()?.strip_prefix(key)?.strip_prefix('=')?;
            value.parse::<u64>().ok()
        };
        Some(Seen {
            at: at.trim().parse().ok()?,
            kind: number("kind")?.try_into().ok()?,
            granted: number("granted")?,
            mapped: number("mapped")?,
            parked: number("parked")?,
            hypercalls: number("hypercalls")?,
            events: number("events")?,
        })
    }

    /// The turn's name, and the step it belongs to.
    pub fn turn(self) -> (&'static str, u32) {
        match self.kind {
            kind::SHARE => ("share", 1),
            kind::FILL => ("fill", 1),
            kind::READONLY => ("read-only", 2),
            kind::EVENTS => ("events", 3),
            kind::RING => ("ring", 4),
            kind::RING_END => ("ring's end", 4),
            kind::UNMAP => ("unmap", 5),
            kind::HOLD => ("hold", 5),
            kind::LET_GO => ("let go", 5),
            kind::NOTIFY => ("notify", 6),
            kind::CLOSE => ("close", 6),
            _ => ("begin", 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_read_whole_or_not_at_all() {
        let line = "[    7.250000] DEBUG demo: seen kind=2 granted=65 mapped=0 parked=1 \
                    hypercalls=300 events=12";
        let seen = Seen::parse(line).unwrap();
        assert_eq!(seen.turn(), ("fill", 1));
        assert_eq!((seen.at, seen.granted, seen.parked), (7.25, 65, 1));
        assert_eq!((seen.mapped, seen.hypercalls, seen.events), (0, 300, 12));
        for other in
            ["", "seen kind=2", &line[1..], &line[..line.len() - 3], &line.replace('=', "")]
        {
            assert_eq!(Seen::parse(other), None, "{other}");
        }
    }
}
