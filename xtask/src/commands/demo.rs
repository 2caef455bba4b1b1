// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo: two guests, started with nothing but `xl create`, share memory; a report says what was
//! proved.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::guests::config::Settings;
use crate::guests::demo::{prove, timed};
use crate::guests::image;
use crate::guests::life::PAIR;
use crate::host::paths;
use crate::host::steps::say;
use crate::judge::demo::STEPS;
use crate::judge::record;
use crate::lab::{Lab, Mode, dom0, qemu};

/// `./run.sh`
pub fn command(mode: Mode) -> Result<()> {
    let started = Instant::now();
    image::build()?;
    let dom0 = dom0::prepare(&image::files()?, None, mode)?;
    say("Grantkit: two Xen guests share memory");
    let mut lab = timed("lab", || {
        let lab = Lab::boot(&dom0, "demo", "")?;
        let (xen, linux) = lab.versions();
        Ok((format!("Xen {xen}, dom0 Linux {linux}, QEMU {} (tcg)", qemu::version()?), lab))
    })?;
    let proof = prove(&mut lab, PAIR, true, &Settings::none()).with_context(|| lab.excerpts())?;
    let page = proof.draw(&lab)?;
    let steps = proof.steps;
    let proved = steps.iter().filter(|step| step.outcome.is_ok()).count();
    for step in &steps {
        record::check(step.name(), 0.0, step.outcome.clone());
    }
    record::close()?;
    let (all, took) = (STEPS.len(), started.elapsed().as_secs_f64());
    say(&format!(
        "proved {proved} of {all} in {took:.0} s; logs and {} in {}/",
        page.file_name().unwrap_or_default().display(),
        paths::shown(lab.folder())
    ));
    match proved == all {
        true => Ok(()),
        false => bail!("not everything was proved\n{}", lab.excerpts()),
    }
}
