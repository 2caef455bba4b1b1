// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both sides print: one line per step.

use core::fmt::{self, Write};
use core::sync::atomic::Ordering::Relaxed;

use drivers::memory::Platform;
use drivers::{Error, GrantStatus, Services, status_name};
use log::Level;

use super::plan::{RING, STEPS};
use crate::text::{self, Text};
use crate::verdict::{InUse, Score, Why};

/// Prints a line.
pub(super) fn say<X: Platform>(services: &Services<X>, words: fmt::Arguments<'_>) {
    let mut line = Text::new();
    // If memory runs out, the line is left out.
    if line.write_fmt(words).is_ok() {
        services.console.line_now(line.as_str());
    }
}

/// Prints a step's result, and counts it.
pub(super) fn tell<X: Platform>(
    services: &Services<X>,
    score: &mut Score,
    number: u32,
    verdict: &Result<Text, Why>,
) {
    let name = STEPS.get(number as usize - 1).copied().unwrap_or_default();
    score.count(verdict);
    match verdict {
        Ok(words) => say(services, format_args!("step {number} {name} {} ok", words.as_str())),
        Err(why) => say(services, format_args!("step {number} {name} FAILED: {why}")),
    }
}

/// Logs, at level debug (off by default), what is in use and what has been done since boot, both
/// during and after a turn of this kind; kind 0 is before the first. The demo's picture is drawn
/// from these lines.
pub(super) fn seen<X: Platform>(services: &Services<X>, kind: u32) {
    let InUse { grants, maps, parked, .. } = InUse::of(services);
    let counters = services.system.counters();
    let (calls, events) = (counters.hypercalls(), counters.events_in.load(Relaxed));
    let words = format_args!(
        "seen kind={kind} granted={grants} mapped={maps} parked={parked} hypercalls={calls} \
         events={events}"
    );
    text::log(Level::Debug, "demo", &words);
}

/// Formats the words of a step's line.
pub(super) fn words(args: fmt::Arguments<'_>) -> Result<Text, Why> {
    let mut text = Text::new();
    match text.write_fmt(args) {
        Ok(()) => Ok(text),
        Err(_) => Err(Error::NO_MEMORY.into()),
    }
}

/// The words of step 2.
pub(super) fn refused_words(status: GrantStatus) -> Result<Text, Why> {
    let status = status_name(status);
    words(format_args!("read ok, rw map refused ({status}), store faulted, caught"))
}

/// The words of step 3; `took` in nanoseconds.
pub(super) fn trips_words(trips: u32, took: u64) -> Result<Text, Why> {
    // In tenths of a microsecond.
    let each = took / u64::from(trips.max(1)) / 100;
    words(format_args!("{trips} round trips, none lost, {}.{} us each", each / 10, each % 10))
}

/// The words of step 4; `took` in nanoseconds.
pub(super) fn ring_words(bytes: u32, crc: u32, took: u64) -> Result<Text, Why> {
    let (mib, ms) = (bytes >> 20, (took / 1_000_000).max(1));
    let rate = (u64::from(bytes) * 1000 / ms) >> 20;
    words(format_args!("{mib} MiB through {RING} pages, crc {crc:08x}, {rate} MiB/s"))
}

/// The words of the last step, if everything that a run used is back.
pub(super) fn clean_words<X: Platform>(services: &Services<X>, before: InUse) -> Result<Text, Why> {
    let InUse { grants, maps, parked, .. } = InUse::restored(services, before)?;
    let free = services.system.frames().free;
    words(format_args!(
        "{grants} grants, {maps} maps, {parked} parked, {free} frames free as before"
    ))
}
