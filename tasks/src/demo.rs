// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo: two guests find each other through xenstore and show sharing, step by step.
//!
//! The granter leads and the mapper follows; each prints each step's result on its own console.
//! Neither trusts the other: whatever the other side publishes or writes is copied once and then
//! checked. A peer that is late, silent or gone, or that sends nonsense, costs one line of output.
//!
//! Step 7, in which the granter survives the mapper's end, is performed from outside by whoever
//! runs the demo. Both sides are ready for it at any moment.
//!
//! The protocol is public, so that other peers can be written, including ones that lie: [`find`]
//! has the xenstore nodes by which the two meet, [`letter`] the messages, [`link`] the page and the
//! port that carry them. The constants here give the sizes.

pub mod find;
mod follow;
mod granter;
mod lead;
pub mod letter;
pub mod link;
mod mapper;
mod plan;
mod report;
mod stop;

use core::fmt;

use drivers::Services;
use drivers::memory::Platform;
use embassy_futures::select::{Either, select};

pub(crate) use self::granter::Granter;
pub(crate) use self::mapper::run as mapper;
pub use self::plan::{CHANNEL, CLEAN, DemoPlan, PAGES, RING, SEED, STEPS, SURVIVE};
pub use self::stop::{Stop, Trouble};
use crate::verdict::Score;

/// Which side of the demo a guest plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Leads.
    Granter,
    /// Follows.
    Mapper,
}

/// The result of a run. Displays as the result line of the shell's command.
#[derive(Debug)]
pub struct Played {
    part: &'static str,
    outcome: Result<Score, Trouble>,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = self.part;
        match &self.outcome {
            Ok(score) => write!(f, "ok demo {part} {score}"),
            Err(trouble) => {
                write!(f, "error demo {part} errno={} status=- {trouble}", trouble.error.errno())
            }
        }
    }
}

/// Plays one complete run, for a guest without a shell.
pub async fn play<X: Platform>(services: &Services<X>, part: Part, plan: DemoPlan) -> Played {
    match part {
        Part::Granter => {
            let granter = Granter::new();
            match select(granter.run(), granter.serve(services, plan)).await {
                Either::First(outcome) => Played { part: "granter", outcome },
                Either::Second(never) => match never {},
            }
        }
        Part::Mapper => Played { part: "mapper", outcome: mapper(services).await },
    }
}
