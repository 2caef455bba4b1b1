// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests of the trial `channels`, which find each other by name: what one sends is what the
//! other gets, and each phase costs no more than it may.
//!
//! Each counts what it does itself. On one processor a sender fills the ring, and sleeps until the
//! receiver has emptied it: an event and a block of each for every ring's worth, which makes 32
//! hypercalls of each guest for a MiB through rings of 64 KiB. Fewer there are with larger rings
//! alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{self, PAIR};
use crate::judge::reply::{number, same_bytes, value};
use crate::judge::tally::Tally;
use crate::lab::Lab;
use crate::tiers::extent::Extent;

/// The trial, and its configuration.
pub const NAME: &str = "channels";
/// The memory of its guests, in MiB: the last phase has 16 channels of 33 pages.
pub const MEMORY: u64 = 8;

/// What all phases may take.
const LONG: Duration = Duration::from_secs(240);
/// The bytes of a ring.
const RING: u64 = 65_536;
/// Hypercalls of one guest for each MiB of a stream, whatever the size of its messages.
const HYPERCALLS: u64 = 40;
/// The same for messages of one byte. The sender works for seconds then, and whenever Xen lets the
/// receiver run meanwhile, it takes what is there and asks to be woken again.
const SMALLEST: u64 = 1000;
const MIB: u64 = 1 << 20;
/// What a channel may take of memory, beside its rings.
const MEMORY_OF_CHANNEL: u64 = 20 << 10;
/// The names of the phases.
const PHASES: [&str; 8] = [
    "answered",
    "messages-1",
    "messages-64",
    "messages-4096",
    "messages-65536",
    "views",
    "long",
    "at-once",
];

/// Creates both guests, the listener first, and judges what they say.
pub fn checks(lab: &mut Lab, extent: Extent, tally: &mut Tally) -> Result<()> {
    let messages = extent.of(20_000, 100_000);
    let [bytes, long, each] = [4, extent.of(8, 64), extent.of(1, 4)].map(|mib| mib * MIB);
    let plan = format!("messages={messages} bytes={bytes} long={long} each={each}");
    for (guest, end) in PAIR.into_iter().zip(["listens", "connects"]) {
        let settings = Settings::none().extra(&format!("end={end} {plan}"));
        life::create(lab, guest, NAME, &settings)?;
    }
    for phase in PHASES {
        tally.told(lab, &format!("by name, {phase}"), |lab| judged(lab, phase))?;
    }
    tally.check(lab, "both have passed all phases", |lab| {
        PAIR.into_iter().try_for_each(|guest| said(lab, guest, "channels").map(drop))
    })?;
    life::clear(lab)
}

/// The line of a guest's that begins so, or its error.
fn said(lab: &mut Lab, guest: &str, what: &str) -> Result<String> {
    let (good, bad) = (format!("ok {what} "), "error channels ");
    let line = |lab: &Lab| {
        let mut lines = lab.lines(guest).into_iter();
        let line = lines.find(|line| line.starts_with(&good) || line.starts_with(bad));
        line.or_else(|| lab.crashed(guest).then(|| "it has crashed".to_owned()))
    };
    let line = lab.until(LONG, line).with_context(|| format!("{guest} does not say {what}"))?;
    ensure!(line.starts_with(&good), "{guest}: {line}");
    Ok(line)
}

/// What one guest did in a phase.
struct Counted<'a> {
    /// Which end, for people.
    end: &'a str,
    line: &'a str,
}

impl Counted<'_> {
    fn of(&self, key: &str) -> Result<u64> {
        number(self.line, key)
    }

    fn at_most(&self, key: &str, most: u64) -> Result<()> {
        let value = self.of(key)?;
        ensure!(value <= most, "the {} has {value} {key}, more than {most}", self.end);
        Ok(())
    }
}

/// One phase at both ends.
fn judged(lab: &mut Lab, phase: &str) -> Result<String> {
    let what = format!("channel {phase}");
    let lines = [said(lab, PAIR[0], &what)?, said(lab, PAIR[1], &what)?];
    same_bytes(&lines[0], &lines[1])?;
    let ends = [("listener", &lines[0]), ("client", &lines[1])];
    let [one, two] = ends.map(|(end, line)| Counted { end, line });
    let both = |key: &str| Ok::<u64, anyhow::Error>(one.of(key)? + two.of(key)?);
    let bytes = one.of("bytes")?;
    ensure!(bytes == two.of("bytes")?, "{lines:?}");
    let (calls, events, rings) = (both("hypercalls")?, both("events")?, bytes.div_ceil(RING));
    for end in [&one, &two] {
        end.at_most("memory", MEMORY_OF_CHANNEL)?;
        end.at_most("allocations", 0)?;
        let copies = match phase {
            "answered" => 2 * bytes,
            "views" => 0,
            // A byte each way through each channel, to begin with.
            "at-once" => bytes + 2 * 16,
            _ => bytes,
        };
        ensure!(end.of("copied")? == copies, "{}, and not {copies} bytes copied", end.line);
        match phase {
            "answered" => end.at_most("timers", bytes / 50)?,
            "messages-1" => end.at_most("hypercalls", SMALLEST * bytes.div_ceil(MIB))?,
            "at-once" => {}
            _ => end.at_most("hypercalls", HYPERCALLS * bytes.div_ceil(MIB))?,
        }
    }
    let per = match phase {
        "answered" => {
            // Looks for the peer, every 400 ms, are beside them.
            ensure!(calls <= 4 * bytes + bytes / 50, "{calls} hypercalls for {bytes} ping-pongs");
            format!("{}.{:02} hypercalls each", calls / bytes, calls * 100 / bytes % 100)
        }
        "messages-65536" | "views" | "long" => {
            ensure!(events <= 2 * rings + 1, "{events} events for {rings} rings");
            format!("{events} events for {rings} rings, {calls} hypercalls")
        }
        _ => format!("{events} events, {calls} hypercalls"),
    };
    let each = |key| Ok::<_, anyhow::Error>(one.of(key)?.max(two.of(key)?));
    let (most, timers, memory) = (each("hypercalls")?, each("timers")?, each("memory")?);
    Ok(format!(
        "{bytes} bytes, crc32 {}: {per}, at most {most} of one guest and {timers} of them timers; \
         {memory} bytes of memory beside the rings",
        value(&lines[0], "crc32")?
    ))
}
