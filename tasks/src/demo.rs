//! The demo: two guests find each other through xenstore and show sharing, step by step.
//!
//! The granter leads and the mapper follows; each prints on its own console how each step went.
//! Neither trusts the other: whatever the other side publishes or writes is copied once and then
//! checked. A peer that is late, silent, gone or sends nonsense costs one line of output.
//!
//! Step 7, in which the granter survives the mapper's end, is done from outside by whoever runs the
//! demo. Both sides are ready for it at any moment.
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

use alloc::format;
use alloc::string::String;

use drivers::Services;
use drivers::memory::Platform;
use embassy_futures::select::{Either, select};

pub(crate) use self::granter::Granter;
pub(crate) use self::mapper::run as mapper;
pub use self::plan::{CLEAN, DemoPlan, PAGES, RING, SEED, STEPS, SURVIVE};
pub use self::stop::{Stop, Trouble};

/// Which side of the demo a guest plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Leads.
    Granter,
    /// Follows.
    Mapper,
}

/// Plays one whole run, for a guest without a shell. Returns the result line that the shell's
/// command would print.
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
        Ok(score) => format!("ok demo {name} {score}"),
        Err(trouble) => {
            format!("error demo {name} errno={} status=- {trouble}", trouble.error.errno())
        }
    }
}
