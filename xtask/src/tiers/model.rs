// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes random calls on a real Xen, and compares Xen with the reference model after each: one
//! guest in dom0's place grants to itself.
//!
//! Xen gives it one frame of grant entries and one of mappings, so that the calls reach both
//! limits. Each run has a new seed, which is printed; `GRANTKIT_SEED` repeats a run.

use std::time::Duration;

use anyhow::{Error, Result, anyhow};

use super::extent::Run;
use crate::guests::image;
use crate::host::random;
use crate::host::steps::{say, step};
use crate::judge::reply::{self, ok_line};
use crate::judge::tally::Tally;
use crate::judge::witness::{self, Expected, Ours, Seen};
use crate::lab::alone::{Boot, End, Machine};
use crate::lab::qemu;

/// Xen's options for both limits, and how many entries and mappings they leave.
const XEN: &str = "gnttab_max_frames=1 gnttab_max_maptrack_frames=1";
const ROOM: [(&str, u64); 2] = [("entries", 504), ("mappings", 255)];
/// The results that maps must have had at least once.
const MET: [&str; 6] = ["mapped", "bad_domain", "bad_gntref", "not_granted", "pinned", "no_space"];
/// What Xen logs about it.
const EXPECTED: &[Expected] = &[Expected {
    line: "Hardware Dom0 shutdown: rebooting machine",
    seen: Seen::Always,
    why: "the guest reboots",
}];
/// The number of operations.
const SMALL: u64 = 100_000;
const FULL: u64 = 1_000_000;
/// Enough for a loaded machine.
const LIMIT: Duration = Duration::from_secs(1200);

/// Boots the guest and judges its last line.
pub fn run(run: &Run) -> Result<Tally> {
    let operations = run.extent.of(SMALL, FULL);
    let seed = random::seed()?;
    let kernel = image::guest("model")?;
    let xen = step("prepare Xen", || qemu::prepare(run.xen.as_deref()))?;
    let arguments = format!("seed={seed} operations={operations}");
    let boot = Boot {
        xen: &xen,
        options: XEN,
        kernel: &kernel,
        arguments: &arguments,
        log: "model",
        exact: false,
    };
    let made = step(&format!("{operations} random calls, GRANTKIT_SEED={seed}"), || {
        let mut machine = Machine::boot(&boot)?;
        let end = machine.run_to_end(LIMIT)?;
        let lines = machine.console().guest();
        let line = judged(&end, &lines, operations, seed)
            .map_err(|why| anyhow!("{why}\n{}", machine.excerpt()))?;
        say(&format!("        {line}"));
        witness::heard(&machine.console().xen(), Ours::Dom0, EXPECTED).map_err(Error::msg)
    });
    let mut tally = Tally::default();
    tally.count(made.is_ok());
    Ok(tally)
}

/// Returns the guest's last line, if it reports that everything was done and the guest then ended
/// by itself.
fn judged<'a>(
    end: &End,
    lines: &'a [String],
    operations: u64,
    seed: u64,
) -> Result<&'a str, String> {
    end.by_itself()?;
    reply::no_errors(lines)?;
    let reply = ok_line(lines, "model")?;
    for (key, value) in [("operations", operations), ("seed", seed)].into_iter().chain(ROOM) {
        if reply.number(key) != Some(value) {
            return Err(format!("its last line does not say {key}={value}"));
        }
    }
    // A run can compare only those answers that Xen gave.
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const LINE: &str = "ok model operations=100 sequences=1 seed=7 hypercalls=9 mapped=5 \
                        bad_domain=1 bad_gntref=1 not_granted=1 pinned=1 no_space=1 \
                        entries=504 mappings=255 ports=2 frames=43 heap=172344";

    fn judge(end: &End, line: &str) -> bool {
        judged(end, &["(banner)".to_owned(), line.to_owned()], 100, 7).is_ok()
    }

    #[test]
    fn a_run_counts_only_if_complete_and_ended_by_the_guest_itself() {
        let ended = End::Exited(ExitStatus::from_raw(0));
        assert!(judge(&ended, LINE));
        for end in [End::Seen, End::TimedOut, End::Exited(ExitStatus::from_raw(1))] {
            assert!(!judge(&end, LINE));
        }
        for (is, should_not_be) in [
            ("operations=100", "operations=99"),
            ("seed=7", "seed=8"),
            ("pinned=1", "pinned=0"),
            (" no_space=1", ""),
            ("mappings=255", "mappings=254"),
            ("ok model", "error model"),
        ] {
            assert!(!judge(&ended, &LINE.replace(is, should_not_be)), "{should_not_be}");
        }
        assert!(!judge(&ended, ""));
    }
}
