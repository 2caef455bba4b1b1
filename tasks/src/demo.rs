//! The demo: two guests that find each other through xenstore and show what sharing means.
//!
//! The granter leads, the mapper follows; each says on its own console how each step went. They
//! trust each other with nothing: whatever the other side publishes or writes is copied once and
//! judged, and a peer that is late, silent, gone or full of nonsense costs one line.
//!
//! Step 7, surviving the mapper's end, is made from outside; both are ready for it at any moment.

pub mod find;
mod granter;
mod lead;
pub mod link;
mod mapper;

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};

use drivers::memory::Platform;
use drivers::{Error, Services};
use embassy_futures::select::{Either, select};

pub(crate) use self::granter::Granter;
pub(crate) use self::mapper::run as mapper;
use crate::text::Text;
use crate::verdict::{Tally, Why};

/// How much the demo does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoPlan {
    /// Round trips over an event channel.
    pub trips: u32,
    /// Bytes through the shared ring.
    pub bytes: u32,
}

impl DemoPlan {
    /// What is shown to people.
    pub const FULL: DemoPlan = DemoPlan { trips: 10_000, bytes: 64 << 20 };
}

/// Why the demo can't go on at all: what was being done, and the error.
pub type Trouble = (&'static str, Error);

/// Why a run with a peer ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The peer is gone, or does nothing any more.
    Gone(&'static str),
    /// Something is not as it should be.
    Failed(Why),
}

impl<T: Into<Why>> From<T> for Stop {
    fn from(why: T) -> Self {
        Stop::Failed(why.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Gone(how) => f.write_str(how),
            Stop::Failed(why) => why.fmt(f),
        }
    }
}

/// The steps' names, by number from 1.
const NAMES: [&str; 8] =
    ["share", "readonly", "events", "ring", "states", "notify", "survive", "clean"];
/// The last step.
const CLEAN: u32 = 8;

/// Bytes that step 1 and step 2 fill pages from.
const SEED: u64 = 42;
/// Pages of step 1.
const PAGES: u32 = 64;
/// Pages of the ring's buffer.
pub const RING: u32 = 16;

/// A part in the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Leads.
    Granter,
    /// Follows.
    Mapper,
}

/// One whole run, for a guest without a shell; the line that the shell's command would end in.
pub async fn play<X: Platform>(services: &Services<X>, part: Part, plan: DemoPlan) -> String {
    let (name, outcome) = match part {
        Part::Granter => {
            let granter = Granter::new();
            match select(granter.run(), granter.serve(services, plan)).await {
                Either::First(outcome) => ("granter", outcome),
                Either::Second(never) => match never {},
            }
        }
        Part::Mapper => ("mapper", mapper(services).await),
    };
    match outcome {
        Ok(tally) => format!("ok demo {name} {tally}"),
        Err((what, error)) => {
            format!("error demo {name} errno={} status=- {what}: {error}", error.errno())
        }
    }
}

/// Prints a line of its own.
fn say<X: Platform>(services: &Services<X>, words: fmt::Arguments<'_>) {
    let mut line = Text::new();
    // Without memory for a line there is none.
    if line.write_fmt(words).is_ok() {
        services.console.line_now(line.as_str());
    }
}

/// Prints and counts how a step went.
fn tell<X: Platform>(
    services: &Services<X>,
    tally: &mut Tally,
    number: u32,
    verdict: &Result<Text, Why>,
) {
    let name = NAMES[number as usize - 1];
    match verdict {
        Ok(words) => {
            tally.passed += 1;
            say(services, format_args!("step {number} {name} {} ok", words.as_str()));
        }
        Err(why) => {
            tally.failed += 1;
            say(services, format_args!("step {number} {name} FAILED: {why}"));
        }
    }
}

/// The words of a step.
fn words(args: fmt::Arguments<'_>) -> Result<Text, Why> {
    let mut text = Text::new();
    match text.write_fmt(args) {
        Ok(()) => Ok(text),
        Err(_) => Err(Error::NO_MEMORY.into()),
    }
}
