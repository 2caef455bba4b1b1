// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one of the demo's two guests that stays, whatever becomes of its peers.
//!
//! It must notice each end within a second, hold nothing, and be what it was. It is asked for its
//! counts, and so are Xen and `xl list`.

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
/// What a whole run may take.
const RUN: Duration = Duration::from_secs(90);
/// How soon after the end of its peer the survivor must have noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// How soon it must be clean again: a second to notice, and as long for a peer that called and did
/// not come.
const CLEAN: Duration = Duration::from_secs(2);

/// A survivor.
pub struct Survivor {
    /// Its name, and that of its victims.
    name: &'static str,
    victim: &'static str,
    domid: u32,
    /// Whether a mapper looks for a granter now.
    looking: bool,
    /// Its counts before the first victim, and its part in Xen's grants.
    counts: Counts,
    grants: Vec<Active>,
    /// How long it took to notice, and to be clean.
    noticed: Vec<Duration>,
    clean: Vec<Duration>,
}

impl Survivor {
    /// Starts one, and has it make a whole run: what is done only the first time is done then.
    pub fn start(lab: &mut Lab, name: &'static str, victim: &'static str) -> Result<Survivor> {
        let domid = life::create(lab, name, name, &Settings::none())?;
        whole_run(lab, [name, victim], 0)?;
        let (counts, grants) = (counts(lab, name)?, grants(lab, domid)?);
        let (noticed, clean) = (Vec::new(), Vec::new());
        Ok(Survivor { name, victim, domid, looking: false, counts, grants, noticed, clean })
    }

    /// A whole run with a new peer, after which all is as it was.
    pub fn serve(&mut self, lab: &mut Lab) -> Result<()> {
        let mark = self.look_out(lab)?;
        whole_run(lab, [self.name, self.victim], mark)?;
        self.looking = false;
        self.until_clean(lab)
    }

    /// A mapper is told to look for a granter, unless it does; a granter always serves. From where
    /// on it is heard.
    fn look_out(&mut self, lab: &mut Lab) -> Result<usize> {
        if self.name == GRANTER || self.looking {
            return Ok(lab.said(self.name).len());
        }
        self.looking = true;
        lab.command(self.name, "demo mapper")
    }

    /// One victim comes, and is ended.
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

    /// What the survivor says of a victim; nothing, if their run came to its end before.
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

    /// Waits until it is what it was: by Xen's word, and by its own if it is at its prompt.
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

    /// How long things took, in words.
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

/// A whole run of a survivor with a new peer, which is destroyed afterwards; what the survivor says
/// begins at `mark`.
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

/// Its own counts. The heap is a granter's only: what is typed at a mapper stays in its history.
fn counts(lab: &mut Lab, name: &str) -> Result<Counts> {
    let counts = lab.counts(name)?;
    Ok(if name == GRANTER { counts } else { counts.but_heap() })
}

/// What Xen says of its grants and its mappings.
fn grants(lab: &mut Lab, domid: u32) -> Result<Vec<Active>> {
    let mut grants = view::grants(lab)?;
    grants.retain(|active| [active.granter, active.mapper].contains(&domid));
    Ok(grants)
}
