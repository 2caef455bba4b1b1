// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one of the demo's two guests that survives its peers.
//!
//! It must notice each peer's end within a second, hold nothing afterwards, and be as before, by
//! its own counts, Xen's grant tables and `xl list`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::kill::{self, Kill, Means};
use crate::guests::config::Settings;
use crate::guests::life;
use crate::judge::counts::Counts;
use crate::judge::demo::{self, CLEAN as LAST, SURVIVE};
use crate::lab::view::{self, Active};
use crate::lab::{Lab, PATIENCE};

const GRANTER: &str = "granter";
/// How long a whole run may take.
const RUN: Duration = Duration::from_secs(90);
/// How soon after its peer's end the survivor must have noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// How soon it must be clean again: a second to notice, and another for a peer that called and did
/// not come.
const CLEAN: Duration = Duration::from_secs(2);

/// A survivor.
pub struct Survivor {
    /// Its own name, and its victims'.
    name: &'static str,
    victim: &'static str,
    domid: u32,
    /// Whether it is a mapper that is now looking for a granter.
    looking: bool,
    /// Its counts before the first victim, and Xen's grant entries that involve it.
    counts: Counts,
    grants: Vec<Active>,
    /// How long it took to notice each end, and to be clean again.
    noticed: Vec<Duration>,
    clean: Vec<Duration>,
}

impl Survivor {
    /// Starts a survivor, and has it make a whole run, so that everything that is done only once
    /// has been done.
    pub fn start(lab: &mut Lab, name: &'static str, victim: &'static str) -> Result<Survivor> {
        let domid = life::create(lab, name, name, &Settings::none())?;
        whole_run(lab, [name, victim], 0)?;
        let (counts, grants) = (counts(lab, name)?, grants(lab, domid)?);
        let (noticed, clean) = (Vec::new(), Vec::new());
        Ok(Survivor { name, victim, domid, looking: false, counts, grants, noticed, clean })
    }

    /// Has it make a whole run with a new peer, after which all must be as before.
    pub fn serve(&mut self, lab: &mut Lab) -> Result<()> {
        let mark = self.look_out(lab)?;
        whole_run(lab, [self.name, self.victim], mark)?;
        self.looking = false;
        self.until_clean(lab)
    }

    /// Tells a mapper to look for a granter, unless it already does; a granter always serves.
    /// Returns the mark from which its output counts.
    fn look_out(&mut self, lab: &mut Lab) -> Result<usize> {
        if self.name == GRANTER || self.looking {
            return Ok(lab.said(self.name).len());
        }
        self.looking = true;
        lab.command(self.name, "demo mapper")
    }

    /// Creates a victim and kills it.
    pub fn outlive(&mut self, lab: &mut Lab, kill: &Kill) -> Result<()> {
        let mark = self.look_out(lab)?;
        let domid = kill::create(lab, self.victim, kill.means)?;
        let running = kill.wait(lab, self.victim)?;
        if kill.means == Means::Pause {
            lab.xl(&["pause", self.victim])?;
            if running {
                let how = self.hear_of(lab, mark, domid)?;
                ensure!(how.is_none_or(|how| how == "says nothing any more"), "it was paused");
            }
        }
        let ended = kill.end(lab, self.victim)?;
        if running
            && kill.means != Means::Pause
            && let Some(how) = self.hear_of(lab, mark, domid)?
        {
            let noticed = ended.at.elapsed();
            ensure!(how == "is gone", "the survivor says that it {how}");
            ensure!(noticed <= NOTICED, "noticed after {} ms", noticed.as_millis());
            self.noticed.push(noticed);
        }
        ended.finish(lab)?;
        self.looking &= !demo::over(&lab.lines_from(self.name, mark));
        if self.name != GRANTER && self.looking && !kill.looks_on {
            let mark = lab.said(self.name).len();
            lab.type_on(self.name, b"\x03")?;
            let answer = lab.answer(self.name, mark, PATIENCE)?;
            ensure!(answer.contains(" errno=EINTR "), "Ctrl-C: {answer}");
            self.looking = false;
        }
        self.until_clean(lab)?;
        self.clean.push(ended.at.elapsed());
        view::gone(lab, domid)?;
        life::forget(lab, self.victim)
    }

    /// Waits for what the survivor says about a victim; `None` if their run ended before.
    fn hear_of(&self, lab: &mut Lab, mark: usize, victim: u32) -> Result<Option<String>> {
        let start = format!("demo: domain {victim} ");
        let name = self.name;
        let heard = |lab: &Lab| {
            let lines = lab.lines_from(name, mark);
            let words = lines.iter().find_map(|line| line.strip_prefix(&start));
            match words {
                Some(words) => Some(Some(words.to_owned())),
                None => demo::told(LAST, &lines).then_some(None),
            }
        };
        lab.until(PATIENCE, heard).with_context(|| format!("{name} notices nothing"))
    }

    /// Waits until it is as before, according to Xen, and also to itself if it is at its prompt.
    fn until_clean(&self, lab: &mut Lab) -> Result<()> {
        let end = Instant::now() + CLEAN;
        loop {
            let grants = grants(lab, self.domid)?;
            let at_prompt = self.name == GRANTER || !self.looking;
            let counts = if at_prompt { counts(lab, self.name)? } else { self.counts.clone() };
            if grants == self.grants && counts == self.counts {
                return Ok(());
            }
            let (had, held) = (&self.counts, &self.grants);
            ensure!(Instant::now() < end, "it was {had:?} {held:?} and is {counts:?} {grants:?}");
        }
    }

    /// How long it took to notice and to be clean, in words.
    pub fn times(&self) -> String {
        let longest = |times: &[Duration]| times.iter().max().map_or(0, Duration::as_millis);
        let (noticed, clean) = (&self.noticed, &self.clean);
        format!(
            "{} of {} peers ended in the middle of a run, noticed at most {} ms after xl began to \
             destroy them; clean at most {} ms after, with the time it takes to ask",
            noticed.len(),
            clean.len(),
            longest(noticed),
            longest(clean)
        )
    }
}

/// Has a survivor make a whole run with a new peer, which is then destroyed; the survivor's output
/// counts from `mark` on.
fn whole_run(lab: &mut Lab, [name, victim]: [&str; 2], mark: usize) -> Result<()> {
    let domid = kill::create(lab, victim, Means::Destroy)?;
    let over = |lab: &Lab| {
        let mine = lab.lines_from(name, mark);
        let over = demo::told(LAST, &mine) && (name == GRANTER || demo::over(&mine));
        (over && demo::over(&lab.lines(victim))).then_some(())
    };
    lab.until(RUN, over).context("no whole run")?;
    let both = [lab.lines_from(name, mark), lab.lines(victim)];
    for number in (1..=LAST).filter(|number| *number != SURVIVE) {
        if let Err(why) = demo::both(number, [&both[0], &both[1]]).outcome {
            bail!("step {number}: {why}");
        }
    }
    lab.xl(&["destroy", victim])?;
    view::gone(lab, domid)?;
    life::forget(lab, victim)
}

/// A survivor's own counts. The heap is compared only for a granter: a mapper's contains the
/// history of typed lines.
fn counts(lab: &mut Lab, name: &str) -> Result<Counts> {
    let counts = lab.counts(name)?;
    Ok(if name == GRANTER { counts } else { counts.but_heap() })
}

/// Xen's grant entries in which it is granter or mapper.
fn grants(lab: &mut Lab, domid: u32) -> Result<Vec<Active>> {
    let mut grants = view::grants(lab)?;
    grants.retain(|active| [active.granter, active.mapper].contains(&domid));
    Ok(grants)
}
