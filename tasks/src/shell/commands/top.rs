// SPDX-License-Identifier: MIT OR Apache-2.0
//! A live view of what is in use, and of rates per second.

use core::fmt::Write;
use core::pin::pin;
use core::sync::atomic::Ordering;

use drivers::memory::Platform;
use embassy_futures::select::{Either, select};

use crate::machine::Machine;
use crate::shell::args::Args;
use crate::shell::reply::Done;
use crate::shell::state::Shell;
use crate::text::Text;
use crate::verdict::InUse;

/// The time between two samples.
const SAMPLE_MS: u64 = 1_000;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `top [seconds]`
    ///
    /// Any key ends it. Input typed earlier is the next command, not a key; if there is any, and no
    /// number is given, `top` takes one sample.
    pub(crate) async fn top(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let seconds: Option<u64> = args.optional_number("[seconds]")?;
        args.end()?;
        let waits = !self.input.is_empty();
        let most = seconds.unwrap_or(if waits { 1 } else { u64::MAX });
        let mut samples = 0;
        let mut before = self.done();
        while samples < most {
            let mut key = false;
            let pause = async {
                if waits {
                    self.pause(SAMPLE_MS).await;
                } else {
                    let typed = select(self.pause(SAMPLE_MS), self.input.typed()).await;
                    key = matches!(typed, Either::Second(()));
                }
            };
            self.wait_for(None, pin!(pause)).await?;
            if key {
                self.input.take();
                break;
            }
            let now = self.done();
            let InUse { grants, parked, maps, ports, .. } = InUse::of(&self.services);
            let (events, calls) = (now.0 - before.0, now.1 - before.1);
            let mut line = Text::new();
            writeln!(
                line,
                "grants={grants} maps={maps} parked={parked} ports={ports} events/s={events} \
                 hypercalls/s={calls}"
            )?;
            self.print("", &[line.as_str()]).await;
            before = now;
            samples += 1;
        }
        Ok(write!(ok, " samples={samples}")?)
    }

    /// Number of events received, and of hypercalls made.
    fn done(&self) -> (u64, u64) {
        let counters = self.services.system.counters();
        (counters.events_in.load(Ordering::Relaxed), counters.hypercalls())
    }
}
