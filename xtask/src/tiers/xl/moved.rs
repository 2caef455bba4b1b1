// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xl save` and `xl migrate`, which must fail and leave both guests and their shared pages
//! unharmed.
//!
//! At the same time one of two guests that share pages is saved, and the other migrated: to the
//! host that it is on, through a shell instead of ssh.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{PAIR, PLAIN, create};
use crate::guests::sharing::Sharing;
use crate::judge::counts::Counts;
use crate::lab::{Lab, Mode, PATIENCE};

/// What is done to each guest of [`PAIR`], its name left out at `guest`.
const MOVES: [&[&str]; 2] =
    [&["save", "guest", "/tmp/saved"], &["migrate", "-s", "", "guest", "xl migrate-receive"]];

/// How xl can fail.
struct Failure {
    /// What it says.
    says: &'static str,
    /// Whether it has asked the guest to suspend.
    asked: bool,
}

/// xl looks for a PV guest's list of its frames before it asks, and there is none.
const PV: Failure = Failure { says: "Bad mfn 0 for p2m frame list list", asked: false };
/// xl gives a PVH guest that declined another minute to suspend.
const PVH: Failure = Failure { says: "guest did not suspend, timed out", asked: true };

/// A minute, and the rest of its work.
const LIMIT: Duration = Duration::from_secs(100);

/// What a guest prints when it is asked.
const DECLINED: &str = "this guest cannot be suspended, saved or migrated";

/// Checks that both fail, that a guest answers with one line if it is asked, and that nothing
/// changes for either guest.
pub fn declined(lab: &mut Lab) -> Result<()> {
    let failure = match lab.mode() {
        Mode::Pv => &PV,
        Mode::Pvh => &PVH,
    };
    for guest in PAIR {
        let domid = create(lab, guest, PLAIN, &Settings::none())?;
        lab.node(&format!("/local/domain/{domid}/data/grantkit/state"))?;
    }
    let sharing = Sharing::start(lab, 8)?;
    let before = counts(lab)?;
    let marks = PAIR.map(|guest| lab.said(guest).len());
    let mut programs = Vec::new();
    for (guest, words) in PAIR.into_iter().zip(MOVES) {
        let words = words.iter().map(|&word| if word == "guest" { guest } else { word });
        programs.push(lab.start(&["xl"].into_iter().chain(words).collect::<Vec<_>>())?);
    }
    if failure.asked {
        // xl is still waiting.
        for (guest, mark) in PAIR.into_iter().zip(marks) {
            let said = |lab: &Lab| (answers(lab, guest, mark) > 0).then_some(());
            lab.until(PATIENCE, said).with_context(|| format!("{guest} does not decline"))?;
        }
        sharing.both_ways(lab)?;
    }
    for (program, words) in programs.into_iter().zip(MOVES) {
        let status = lab.status(program, LIMIT).with_context(|| format!("xl {}", words[0]))?;
        let said = lab.output(program);
        let failed = status == "1" && said.contains(failure.says);
        ensure!(failed, "xl {} ended with status {status}: {said}", words[0]);
    }
    for (guest, mark) in PAIR.into_iter().zip(marks) {
        let answers = answers(lab, guest, mark);
        ensure!(answers == usize::from(failure.asked), "{guest} declined {answers} times");
    }
    let listed = lab.xl(&["list"])?;
    ensure!(listed.lines().count() == 2 + PAIR.len(), "there are others: {listed}");
    for ((now, before), guest) in counts(lab)?.iter().zip(&before).zip(PAIR) {
        now.same(before).with_context(|| guest)?;
    }
    sharing.both_ways(lab)?;
    sharing.end(lab)?;
    PAIR.iter().try_for_each(|guest| lab.xl(&["shutdown", "-w", guest]).map(drop))
}

/// How often a guest has declined.
fn answers(lab: &Lab, guest: &str, mark: usize) -> usize {
    lab.lines_from(guest, mark).iter().filter(|line| line.ends_with(DECLINED)).count()
}

/// Both guests' counts; the heap's depend on the lines that were typed.
fn counts(lab: &mut Lab) -> Result<[Counts; 2]> {
    let [granter, mapper] = PAIR;
    Ok([lab.counts(granter)?.but_heap(), lab.counts(mapper)?.but_heap()])
}
