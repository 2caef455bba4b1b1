// SPDX-License-Identifier: MIT OR Apache-2.0
//! The self-test: one domain grants pages to itself, maps them, and sends itself events.
//!
//! Loop-back needs no second guest and goes through all of Xen's checks, so one domain can test
//! nearly everything that the services promise. Each check has a name, says why it failed, and
//! leaves nothing behind. Anything else that the guest shares is left alone.
//!
//! A PVH guest can't map its own pages. There the checks are that these pages stay where they are;
//! what a mapping shows is left to the demo, which has a peer.

mod channels;
mod fixture;
mod grants;
mod maps;

use core::fmt::Write;

use drivers::Services;
use drivers::memory::Platform;

use self::fixture::{Fixture, Verdict};
use crate::text::Text;
use crate::verdict::Score;

/// Runs all checks; each prints a line of its own.
pub(crate) async fn run<X: Platform>(services: &Services<X>) -> Score {
    let mut report = Report { services, score: Score::default() };
    let fixture = match Fixture::new(services) {
        Ok(fixture) => fixture,
        Err(why) => {
            report.note("what a test needs is there", Err(why)).await;
            return report.score;
        }
    };
    let translated = services.system.is_translated();
    let kinds = [Needs::Nothing, if translated { Needs::OwnFrames } else { Needs::LoopBack }];
    for (name, _, check) in checks().iter().filter(|(_, needs, _)| kinds.contains(needs)) {
        let verdict = check(&fixture);
        fixture.clean_up();
        report.note(name, verdict).await;
    }
    report.note("1,000 round trips lose no event", channels::round_trips(&fixture).await).await;
    if !translated {
        let verdict = channels::unmapping_tells(&fixture).await;
        report.note("unmapping clears the byte and sends the event it was asked to", verdict).await;
    }
    let verdict = fixture.finish();
    report.note("nothing is left behind", verdict).await;
    report.score
}

/// What a check requires.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Mapping pages that the guest granted to itself.
    LoopBack,
    /// A guest that can't do that.
    OwnFrames,
}

/// What holds if the check passes, what it requires, and the check itself, which doesn't wait.
type Check<X> = (&'static str, Needs, fn(&Fixture<'_, X>) -> Verdict);

/// A constant: filling an array takes more code than the array.
fn checks<X: Platform>() -> &'static [Check<X>] {
    use Needs::{LoopBack, Nothing, OwnFrames};
    &[
        ("granting makes no hypercall", Nothing, grants::granting_is_free),
        ("a page of our own is not mapped, and stays where it is", OwnFrames, maps::own_page),
        (
            "mapping 1, 33 and 64 pages is one hypercall, unmapping them another",
            LoopBack,
            maps::one_call,
        ),
        ("64 pages carry a pattern in both directions", LoopBack, maps::pattern),
        ("a read-only mapping reads, and a store to it faults", LoopBack, maps::read_only),
        ("a writable map of a read-only grant is refused", LoopBack, maps::writable_refused),
        ("a reference beyond the table is refused as bad_gntref", LoopBack, maps::beyond_the_table),
        ("an absent domain is refused as bad_domain", Nothing, maps::absent_domain),
        ("one bad reference of 8 leaves nothing mapped", LoopBack, maps::all_or_nothing),
        ("one reference takes 128 writable mappings and no more", LoopBack, maps::most_mappings),
        ("the owner sees who maps and how", LoopBack, grants::visible),
        ("a grant ends only once nobody maps it", LoopBack, grants::busy),
        ("a grant dropped while mapped is parked, and comes back after", LoopBack, grants::parked),
        ("a page that was shared comes back zeroed", Nothing, grants::zeroed),
        ("parked pages count for the limit, and it holds", LoopBack, grants::limit),
        ("a writable mapping ends, and can be made again", LoopBack, maps::again),
    ]
}

/// Counts verdicts and prints them.
struct Report<'a, X: Platform> {
    services: &'a Services<X>,
    score: Score,
}

impl<X: Platform> Report<'_, X> {
    async fn note(&mut self, name: &str, verdict: Verdict) {
        let mut line = Text::new();
        // If there is no memory for the line, the score still has its verdict.
        let _ = match &verdict {
            Ok(()) => writeln!(line, "pass {name}"),
            Err(why) => writeln!(line, "FAIL {name}: {why}"),
        };
        self.score.count(&verdict);
        self.services.console.print(line.as_str().as_bytes()).await;
    }
}
