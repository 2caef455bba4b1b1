//! Random calls on a real Xen, compared with the reference model after each: one guest in dom0's place that grants to itself.
//!
//! Xen allows it one frame of grant entries and one of mappings, so that the calls meet both limits. The seed is a new
//! one every time, and is told; `GRANTKIT_SEED` repeats a run.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::judge::{self, ok_line};
use crate::qemu::{self, Boot, End, Machine};
use crate::steps::{say, step};
use crate::tally::Tally;
use crate::tiers::Extent;
use crate::{image, leaks};

/// Both sizes; what they leave is checked below.
const XEN: &str = "gnttab_max_frames=1 gnttab_max_maptrack_frames=1";
const ROOM: [(&str, u64); 2] = [("entries", 504), ("mappings", 255)];
/// What the maps must have met.
const MET: [&str; 6] = ["mapped", "bad_domain", "bad_gntref", "not_granted", "pinned", "no_space"];
/// Operations.
const MINI: u64 = 100_000;
const FULL: u64 = 2_000_000;
/// For a machine that is loaded, too.
const LIMIT: Duration = Duration::from_secs(600);

/// `./run.sh model`; `full`: as many calls as `soak` makes.
pub fn command(full: bool) -> Result<()> {
    run(if full { Extent::Full } else { Extent::Mini })?.verdict("model")
}

/// Boots the guest and judges its last line.
pub fn run(extent: Extent) -> Result<Tally> {
    let operations = extent.of(MINI, FULL);
    let seed = leaks::seed()?;
    let kernel = image::example("model")?;
    let xen = step("prepare Xen", qemu::prepare)?;
    let arguments = format!("seed={seed} operations={operations}");
    let boot =
        Boot { xen: &xen, options: XEN, kernel: &kernel, arguments: &arguments, log: "model" };
    let made = step(&format!("{operations} random calls, GRANTKIT_SEED={seed}"), || {
        let mut machine = Machine::boot(&boot)?;
        let end = machine.run(LIMIT, |console| judge::crashed(&console.xen()), |_| ())?;
        let lines = machine.console().guest();
        match judged(&end, &lines, operations, seed) {
            Ok(line) => Ok(say(&format!("        {line}"))),
            Err(why) => bail!("{why}\n{}", machine.excerpt()),
        }
    });
    let mut tally = Tally::default();
    tally.count(made.is_ok());
    Ok(tally)
}

/// The guest's last line, if it says that all was done and the guest then ended by itself.
fn judged<'a>(
    end: &End,
    lines: &'a [String],
    operations: u64,
    seed: u64,
) -> Result<&'a str, String> {
    match end {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => return Err(format!("QEMU ended with {status}")),
        End::Seen => return Err("the guest crashed".into()),
        End::TimedOut => return Err(format!("no end after {} s", LIMIT.as_secs())),
    }
    judge::no_errors(lines)?;
    let reply = ok_line(lines, "model")?;
    for (key, value) in [("operations", operations), ("seed", seed)].into_iter().chain(ROOM) {
        if reply.number(key) != Some(value) {
            return Err(format!("its last line does not say {key}={value}"));
        }
    }
    // A run that met only some of Xen's answers has compared only those.
    if let Some(key) = MET.iter().find(|key| reply.number(key).is_none_or(|met| met == 0)) {
        return Err(format!("its last line does not say that it met {key}"));
    }
    lines
        .iter()
        .rev()
        .find(|line| line.starts_with("ok model "))
        .map(String::as_str)
        .ok_or("no line".into())
}
