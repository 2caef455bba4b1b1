// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the demo's steps in two guests, and reports each as it is done.
//!
//! The guests perform all steps but one by themselves, and each reports them on its console; the
//! words shown are the granter's. The remaining step, ending the mapper while it maps, is dom0's. A
//! step that no guest reported has failed.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::config::Settings;
use super::life::{self, PAIR};
use super::survive::survive;
use crate::host::steps::{clocked, say};
use crate::host::{children, paths};
use crate::judge::demo::{self, CLEAN, SURVIVE, Step};
use crate::judge::picture;
use crate::judge::seen::Seen;
use crate::lab::{Lab, PATIENCE};

/// How long the guests' own steps may take together.
const LIMIT: Duration = Duration::from_secs(90);

/// A run of the demo.
pub struct Proof {
    /// Every step, whether it passed or not.
    pub steps: Vec<Step>,
    /// What granter and mapper logged about each turn, if they were watched.
    pub seen: [Vec<Seen>; 2],
}

impl Proof {
    /// Draws the run, and returns the page's path.
    pub fn draw(&self, lab: &Lab) -> Result<PathBuf> {
        let [granter, mapper] = &self.seen;
        let path = lab.folder().join("report.html");
        let (xen, linux) = lab.versions();
        let on = format!("On Xen {xen} in QEMU, with Linux {linux} as dom0.");
        fs::write(&path, picture::page(&on, &self.steps, granter, mapper))
            .with_context(|| format!("cannot write {}", paths::shown(&path)))?;
        Ok(path)
    }
}

/// Creates the guests in this order, with these settings, and reports each step as it is done. If
/// `watched`, the guests also log their turns.
pub fn prove(lab: &mut Lab, order: [&str; 2], watched: bool, settings: &Settings) -> Result<Proof> {
    for guest in order {
        create(lab, guest, watched, settings)?;
    }
    let mut steps = Vec::new();
    let mut tell = |step: Step| {
        say(&step.shown());
        steps.push(step);
    };
    let mut next = 1;
    let (in_time, _) = clocked("demo", || {
        lab.until(LIMIT, |lab| {
            let said = PAIR.map(|guest| lab.lines(guest));
            while next < SURVIVE && said.iter().all(|lines| demo::told(next, lines)) {
                tell(demo::both(next, [&said[0], &said[1]]));
                next += 1;
            }
            said.iter().all(|lines| demo::over(lines)).then_some(())
        })
    });
    if children::interrupted() {
        bail!("interrupted");
    }
    let said = PAIR.map(|guest| lab.lines(guest));
    for number in next..SURVIVE {
        tell(demo::both(number, [&said[0], &said[1]]));
    }
    let ended = in_time.map_err(|error| format!("{error:#}")).and_then(|()| {
        PAIR.iter().zip(&said).try_for_each(|(guest, lines)| demo::ended(guest, lines))
    });
    let survived = match &ended {
        Ok(()) => {
            clocked("survive", || survive(lab, settings)).0.map_err(|error| format!("{error:#}"))
        }
        Err(why) => Err(format!("not tried: {why}")),
    };
    tell(Step { number: SURVIVE, outcome: survived });
    let clean = demo::both(CLEAN, [&said[0], &said[1]]);
    tell(Step { outcome: clean.outcome.and_then(|words| ended.map(|()| words)), ..clean });
    let seen = said.map(|lines| lines.iter().filter_map(|line| Seen::parse(line)).collect());
    Ok(Proof { steps, seen })
}

fn create(lab: &mut Lab, guest: &str, watched: bool, settings: &Settings) -> Result<()> {
    let settings = match watched {
        true => settings.clone().extra(&format!("loglevel=debug prompt=name -- demo {guest}")),
        false => settings.clone(),
    };
    timed(guest, || {
        let domid = life::create(lab, guest, guest, &settings)?;
        let kib = lab.node(&format!("/local/domain/{domid}/memory/target"))?.parse::<u64>()?;
        let ready = |lab: &Lab| demo::ready(&lab.lines(guest));
        let ms = lab.until(PATIENCE, ready).context("it never said that it was ready")?;
        Ok((format!("domain {domid}, {} MiB, prompt after {ms} ms of cpu", kib / 1024), ()))
    })
}

/// Does `work`, and prints a line of the report: what was done, and how long it took.
pub fn timed<T>(name: &str, work: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
    let (result, seconds) = clocked(name, work);
    let mut line = format!("  {name:<10}");
    match &result {
        Ok((words, _)) => write!(line, "{words:<60}{seconds:>5.1} s")?,
        Err(error) => write!(line, "FAILED: {error:#}")?,
    }
    say(&line);
    result.map(|(_, value)| value).with_context(|| format!("{name} failed"))
}
