//! The selftest: one domain grants pages to itself, maps them, and rings its own bell.
//!
//! Loop-back needs no second guest and goes through all of Xen's checks, so one domain can test
//! nearly everything that the services promise. Each check has a name, says why it failed, and
//! leaves nothing behind. Whatever else the guest shares meanwhile is not touched.

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
    for (name, check) in checks() {
        let verdict = check(&fixture);
        fixture.clean_up();
        report.note(name, verdict).await;
    }
    report.note("1,000 round trips lose no event", channels::round_trips(&fixture).await).await;
    let verdict = channels::unmapping_tells(&fixture).await;
    report.note("unmapping clears the byte and sends the event it was asked to", verdict).await;
    let verdict = fixture.finish();
    report.note("nothing is left behind", verdict).await;
    report.score
}

/// A check that doesn't wait, and what is true if it passes.
type Check<X> = (&'static str, fn(&Fixture<'_, X>) -> Verdict);

fn checks<X: Platform>() -> [Check<X>; 15] {
    [
        ("granting makes no hypercall", grants::granting_is_free),
        ("mapping 1, 33 and 64 pages is one hypercall, unmapping them another", maps::one_call),
        ("64 pages carry a pattern in both directions", maps::pattern),
        ("a read-only mapping reads, and a store to it faults", maps::read_only),
        ("a writable map of a read-only grant is refused", maps::writable_refused),
        ("a reference beyond the table is refused as bad_gntref", maps::beyond_the_table),
        ("an absent domain is refused as bad_domain", maps::absent_domain),
        ("one bad reference of 8 leaves nothing mapped", maps::all_or_nothing),
        ("one reference takes 128 writable mappings and no more", maps::most_mappings),
        ("the owner sees who maps and how", grants::visible),
        ("a grant ends only once nobody maps it", grants::busy),
        ("a grant dropped while mapped is parked, and comes back after", grants::parked),
        ("a page that was shared comes back zeroed", grants::zeroed),
        ("parked pages count for the limit, and it holds", grants::limit),
        ("a writable mapping ends, and can be made again", maps::again),
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
        // Without memory for the line, its verdict is still in the score.
        let _ = match &verdict {
            Ok(()) => writeln!(line, "pass {name}"),
            Err(why) => writeln!(line, "FAIL {name}: {why}"),
        };
        self.score.count(&verdict);
        self.services.console.print(line.as_str().as_bytes()).await;
    }
}
