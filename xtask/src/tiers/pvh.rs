// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pvh tier: the same image as PVH guests: the demo and the self-test in 2 MiB, every crash, and
//! what xl does to a guest and asks of it.
//!
//! A PVH guest can't run in dom0's place, so all of it runs in a lab. Other tiers have `--pvh`.

mod errs; // what a faulty domain builder or Xen leaves behind

use anyhow::{Error, Result, ensure};

use super::extent::{Extent, Run};
use super::{pair, xl};
use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, PAIR, at_prompt, clear, gone};
use crate::guests::{demo, image};
use crate::host::steps::step;
use crate::judge::crash::{CRASHES, STACK_DUMP, dump};
use crate::judge::reply;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, Mode};

/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "the demo maps a read-only page"),
    Expected::debug(said::ENDED, "the demo's mapper is destroyed while it maps"),
    Expected::debug(said::NO_DOMAIN, "the self-test maps from a domain that does not exist"),
];

/// Runs the tier once, or in full five times.
pub fn run(run: &Run) -> Result<Tally> {
    let run = &Run { extent: run.extent, xen: run.xen.clone(), mode: Mode::Pvh, choice: None };
    let files = [image::files()?, pair::more_files()?, errs::files()?].concat();
    let dom0 = run.dom0_with(&files, &xl::shell()?)?;
    let mut tally = Tally::default();
    for _ in 0..run.extent.of(1, 5) {
        let mut lab = step("boot the lab", || Lab::boot(&dom0, "pvh", ""))?;
        for step in demo::prove(&mut lab, PAIR, false, &smallest())?.steps {
            tally.count(step.outcome.is_ok());
        }
        clear(&mut lab)?;
        tally.check(&mut lab, "the self-test in 2 MiB", selftest)?;
        clear(&mut lab)?;
        for crash in CRASHES.iter().filter(|crash| !crash.signs.is_empty()).chain([&STACK_DUMP]) {
            let name = format!("crash {} leaves a dump", crash.word);
            tally.check(&mut lab, &name, |lab| {
                at_prompt(lab, &Settings::none().on_crash("destroy"))?;
                let mark = lab.command(GUEST, &format!("crash {}", crash.word))?;
                gone(lab, GUEST)?;
                life::crashed(lab, GUEST)?;
                dump(crash, &lab.lines_from(GUEST, mark)).map_err(Error::msg)
            })?;
            clear(&mut lab)?;
        }
        errs::check(&mut lab, &mut tally)?;
        pair::check(&mut lab, &mut tally)?;
        xl::check(&mut lab, &mut tally)?;
        if run.extent == Extent::Full {
            xl::check_long(&mut lab, &mut tally, run.extent)?;
        }
        tally.witness(&mut lab, &[EXPECTED, xl::EXPECTED].concat())?;
    }
    Ok(tally)
}

/// The smallest guest that xl creates: 2 MiB, in which everything must run.
fn smallest() -> Settings {
    Settings::none().memory(2)
}

fn selftest(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &smallest())?;
    lab.ask(GUEST, "selftest")?;
    reply::all_passed(&lab.lines(GUEST), "selftest").map_err(Error::msg)?;
    let status = lab.ask(GUEST, "status")?;
    ensure!(status.ends_with(" mode=pvh"), "{status}");
    Ok(())
}
