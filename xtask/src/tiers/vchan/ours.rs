// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests of the trial `channels`, which find each other by name: what one sends, the other
//! receives, and each phase stays within its limits of cost.
//!
//! Each guest reports its own counts. On one processor, a sender fills the ring and sleeps until
//! the receiver has emptied it: each sends an event and blocks once per ring's worth, which is 32
//! hypercalls per guest for 1 MiB through rings of 64 KiB. Only larger rings need fewer.

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
/// The memory of each guest, in MiB: the last phase has 16 channels of 33 pages each.
pub const MEMORY: u64 = 8;

/// Time limit for all phases.
const LONG: Duration = Duration::from_secs(240);
/// The size of a ring in bytes.
const RING: u64 = 65_536;
/// Maximum number of hypercalls per guest and MiB of a stream, whatever the message size.
const HYPERCALLS: u64 = 40;
/// The same for one-byte messages. The sender is then busy for seconds, and each time Xen schedules
/// the receiver, it reads what is there and requests another event.
const SMALLEST: u64 = 1000;
const MIB: u64 = 1 << 20;
/// Maximum memory of a channel in bytes, besides its rings.
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

/// Creates both guests, the listener first, and checks their reports.
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

/// A guest's line that begins with `what`, or its error.
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

/// One guest's counts in a phase.
struct Counted<'a> {
    /// Which end it is, for messages.
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

/// Checks one phase at both ends.
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
            // First, one byte each way through each channel.
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
            // Checks for the peer, every 400 ms, come on top.
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
