//! The demo: two guests, started by nothing but `xl create`, share memory; the report says what was proved.
//!
//! The guests make all steps but one by themselves, and each says so on its console. The report's words are the
//! granter's. Ending the mapper while it maps is dom0's part. A step that nobody told of was not made.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lab::{Lab, PATIENCE};
use crate::proof::{self, CLEAN, STEPS, SURVIVE, Step};
use crate::steps::{clocked, say};
use crate::survive::survive;
use crate::{children, dom0, image, paths, qemu};

/// The guests, in the order of the report.
const GUESTS: [&str; 2] = ["granter", "mapper"];
/// What the guests' own steps may take, together.
const LIMIT: Duration = Duration::from_secs(90);

/// `./run.sh`
pub fn command() -> Result<()> {
    let started = Instant::now();
    image::build()?;
    let dom0 = dom0::prepare(&image::files()?)?;
    say("Grantkit: two Xen guests share memory");
    let mut lab = timed("lab", || {
        let lab = Lab::boot(&dom0, "demo", "")?;
        let (xen, linux) = lab.versions();
        Ok((format!("Xen {xen}, dom0 Linux {linux}, QEMU {} (tcg)", qemu::version()?), lab))
    })?;
    let steps = prove(&mut lab, GUESTS).with_context(|| lab.excerpts())?;
    let proved = steps.iter().filter(|step| step.outcome.is_ok()).count();
    let (all, took) = (STEPS.len(), started.elapsed().as_secs_f64());
    say(&format!(
        "proved {proved} of {all} in {took:.0} s; logs in {}/",
        paths::shown(&paths::lab().join("demo"))
    ));
    match proved == all {
        true => Ok(()),
        false => bail!("not everything was proved\n{}", lab.excerpts()),
    }
}

/// Creates the guests in this order, and tells of every step as it is made.
pub fn prove(lab: &mut Lab, order: [&str; 2]) -> Result<Vec<Step>> {
    for guest in order {
        create(lab, guest)?;
    }
    let mut steps = Vec::new();
    let mut tell = |step: Step| {
        say(&step.shown());
        steps.push(step);
    };
    let mut next = 1;
    let (in_time, _) = clocked("demo", || {
        lab.until(LIMIT, |lab| {
            let said = GUESTS.map(|guest| lab.lines(guest));
            while next < SURVIVE && said.iter().all(|lines| proof::told(next, lines)) {
                tell(proof::both(next, [&said[0], &said[1]]));
                next += 1;
            }
            said.iter().all(|lines| proof::over(lines)).then_some(())
        })
    });
    if children::interrupted() {
        bail!("interrupted");
    }
    let said = GUESTS.map(|guest| lab.lines(guest));
    for number in next..SURVIVE {
        tell(proof::both(number, [&said[0], &said[1]]));
    }
    let ended = in_time.map_err(|error| format!("{error:#}")).and_then(|()| {
        GUESTS.iter().zip(&said).try_for_each(|(guest, lines)| proof::ended(guest, lines))
    });
    let survived = match &ended {
        Ok(()) => clocked("survive", || survive(lab)).0.map_err(|error| format!("{error:#}")),
        Err(why) => Err(format!("not tried: {why}")),
    };
    tell(Step { number: SURVIVE, outcome: survived });
    let clean = proof::both(CLEAN, [&said[0], &said[1]]);
    tell(Step { outcome: clean.outcome.and_then(|words| ended.map(|()| words)), ..clean });
    Ok(steps)
}

fn create(lab: &mut Lab, guest: &str) -> Result<()> {
    timed(guest, || {
        lab.xl(&["create", &format!("{guest}.cfg")])?;
        let domid = lab.domid(guest)?.with_context(|| format!("{guest} ended at once"))?;
        let kib = lab.node(&format!("/local/domain/{domid}/memory/target"))?.parse::<u64>()?;
        let ready = |lab: &Lab| proof::ready(&lab.lines(guest));
        let ms = lab.until(PATIENCE, ready).context("it never said that it is ready")?;
        Ok((format!("domain {domid}, {} MiB, prompt after {ms} ms of cpu", kib / 1024), ()))
    })
}

/// A line of the report with what was done and how long it took.
fn timed<T>(name: &str, work: impl FnOnce() -> Result<(String, T)>) -> Result<T> {
    let (result, seconds) = clocked(name, work);
    let mut line = format!("  {name:<10}");
    match &result {
        Ok((words, _)) => write!(line, "{words:<64}{seconds:>5.1} s")?,
        Err(error) => write!(line, "FAILED: {error:#}")?,
    }
    say(&line);
    result.map(|(_, value)| value).with_context(|| format!("{name} failed"))
}
