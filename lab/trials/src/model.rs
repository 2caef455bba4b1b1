// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random calls by a guest that grants to itself, compared with the reference model after each
//! call.
//!
//! For an image of its own, on a real Xen that allows one frame of grant entries and one maptrack
//! frame: only then do the calls meet both limits. After each sequence exactly as much must be in
//! use as before, to the byte. A difference in the calls themselves panics; [`Progress`] says
//! where.

mod room;

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use ::model::{LoopBack, Met};
use drivers::Services;
use drivers::memory::Platform;

use tasks::cmdline::CommandLine;
use tasks::shell;
use tasks::verdict::{InUse, Verdict, Why, equal};

/// The number of operations in a sequence, as on the host.
const LENGTH: usize = 2000;
/// Seed and length of the sequence before the others, which does what is done only once.
const FIRST: (u64, usize) = (1, 500);

/// How far a run has got, to be printed if the guest crashes.
#[derive(Debug, Default)]
pub struct Progress {
    seed: AtomicU64,
    step: AtomicU64,
}

impl Progress {
    /// Returns the progress at the start of a run.
    pub const fn new() -> Self {
        Self { seed: AtomicU64::new(0), step: AtomicU64::new(0) }
    }

    fn begin(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
        self.step.store(0, Ordering::Relaxed);
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, step) = (self.seed.load(Ordering::Relaxed), self.step.load(Ordering::Relaxed));
        write!(
            f,
            "model: at step={step} of the sequence with seed={seed}; on the host: \
             GRANTKIT_SEED={seed} GRANTKIT_SEQUENCES=1 cargo test -p model --test random itself"
        )
    }
}

/// The command line's options.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    operations: u64,
}

impl Plan {
    fn parse(line: &str) -> Result<Self, Why> {
        let mut plan = Self { seed: 1, operations: LENGTH as u64 };
        for option in CommandLine::parse(line).options() {
            let number = |value| {
                let wrong = || Why::new(format_args!("{value:?} is no number, decimal or 0x-hex"));
                shell::number(value).ok_or_else(wrong)
            };
            match option {
                Ok(("seed", value)) => plan.seed = number(value)?,
                Ok(("operations", value)) => plan.operations = number(value)?,
                Ok((word, _)) | Err(word) => {
                    return Err(Why::new(format_args!(
                        "{word:?} is no option; there are seed=<number> and operations=<number>"
                    )));
                }
            }
        }
        Ok(plan)
    }
}

/// Runs the sequences that `line` asks for. Prints a line for each, and a last one: `ok model` with
/// what was done and what is in use, or `error model`. `heap` returns the bytes of the heap in use.
pub async fn run<X: Platform>(
    services: &Services<X>,
    line: &str,
    progress: &Progress,
    heap: impl Fn() -> usize,
) {
    let last = match sequences(services, line, progress, heap).await {
        Ok(words) => format!("ok model {words}\n"),
        Err(why) => format!("error model errno=EIO status=- {why}\n"),
    };
    services.console.print(last.as_bytes()).await;
}

async fn sequences<X: Platform>(
    services: &Services<X>,
    line: &str,
    progress: &Progress,
    heap: impl Fn() -> usize,
) -> Result<String, Why> {
    let Plan { seed, operations } = Plan::parse(line)?;
    room::settle(services)?;
    let room = room::measure(services)?;
    let one = |seed, length| {
        progress.begin(seed);
        let ops = ::model::sequence(seed, length);
        let before = |step| progress.step.store(step as u64, Ordering::Relaxed);
        let met = ::model::run(LoopBack::new(services, room), &ops, before);
        // Events that the guest sent to itself are still pending.
        services.events.dispatch();
        met
    };
    one(FIRST.0, FIRST.1);
    let counters = services.system.counters();
    let (before, heap_before, calls) = (InUse::of(services), heap(), counters.hypercalls());
    let (mut done, mut number, mut met) = (0, 0, Met::default());
    while done < operations {
        let length = LENGTH.min((operations - done) as usize);
        let own = ::model::seed_of(seed, number);
        met += one(own, length);
        done += length as u64;
        number += 1;
        as_before(services, before, (heap(), heap_before))
            .map_err(|why| Why::new(format_args!("after the sequence with seed={own}: {why}")))?;
        let line = format!("model: sequence {number} seed={own} operations={done}\n");
        services.console.print(line.as_bytes()).await;
    }
    let calls = counters.hypercalls() - calls;
    equal("what Xen has room for", room::measure(services)?, room)?;
    as_before(services, before, (heap(), heap_before))?;
    Ok(format!(
        "operations={done} sequences={number} seed={seed} hypercalls={calls} mapped={} \
         bad_domain={} bad_gntref={} not_granted={} pinned={} no_space={} entries={} mappings={} \
         ports={} frames={} heap={}",
        met.mapped,
        met.bad_domain,
        met.bad_gntref,
        met.not_granted,
        met.pinned,
        met.no_space,
        room.entries,
        room.mappings,
        before.ports,
        before.frames,
        heap(),
    ))
}

/// Fails unless every count is what it was.
fn as_before<X: Platform>(
    services: &Services<X>,
    before: InUse,
    (heap, heap_before): (usize, usize),
) -> Verdict {
    equal("what is in use", InUse::of(services), before)?;
    equal("the heap in use", heap, heap_before)
}
