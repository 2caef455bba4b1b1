//! One of the demo's two guests stays, the other is ended again and again at a random moment of the demo.
//!
//! The moment is a step that the victim has told of and a delay behind it, so that every step is hit. After each end the
//! survivor must have noticed within a second, hold nothing, and be what it was; after a few it must make a whole run
//! with a new peer. It is asked for its counts, and so are Xen and `xl list`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::kill::{Kill, Means};
use super::view::{self, Active};
use super::{Draw, kill};
use crate::judge::Reply;
use crate::lab::{Lab, PATIENCE};
use crate::proof;
use crate::steps::{say, step};
use crate::tally::Tally;
use crate::{dom0, guest, image};

/// Who stays, and who is ended.
const ROLES: [(&str, &str); 2] = [("granter", "mapper"), ("mapper", "granter")];
const GRANTER: &str = "granter";
/// How many ends lie between two whole runs: the survivor tells of so many that are gone, and then holds its peace.
const IN_A_ROW: u32 = 7;
/// What a whole run may take.
const RUN: Duration = Duration::from_secs(90);
/// How soon after the end of its peer the survivor must have noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// How soon it must be clean again: a second to notice, and as long for a peer that called and did not come.
const CLEAN: Duration = Duration::from_secs(2);
/// What is compared. The heap is a granter's only: what is typed at a mapper stays in its history.
const COUNTS: [&str; 8] =
    ["grants", "parked", "maps", "reserved", "ports", "frames", "frames_free", "heap"];

/// A survivor.
struct Survivor {
    /// Its name, and that of its victims.
    name: &'static str,
    victim: &'static str,
    domid: u32,
    /// Whether a mapper looks for a granter now.
    looking: bool,
    /// Its counts before the first victim, and its part in Xen's grants.
    counts: Vec<(&'static str, u64)>,
    grants: Vec<Active>,
    /// How long it took to notice, and to be clean.
    noticed: Vec<Duration>,
    clean: Vec<Duration>,
}

/// Boots a lab, and ends so many peers in each role.
pub fn run(kills: u32, draw: &mut Draw) -> Result<Tally> {
    let mut files = image::files()?;
    files.extend(guest::files("mortal", "mortal", "memory = 8\non_crash = \"destroy\"\n")?);
    let dom0 = dom0::prepare(&files)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, "leaks-kills", ""))?;
    let mut tally = Tally::default();
    for (name, victim) in ROLES {
        let mut survivor = None;
        tally.check(&mut lab, &format!("{name}: a whole run before"), |lab| {
            survivor = Some(Survivor::start(lab, name, victim)?);
            Ok(())
        })?;
        let Some(mut survivor) = survivor else { return Ok(tally) };
        for number in 0..kills {
            let kill = Kill::draw(number, draw);
            let before = tally.failed;
            tally.check(&mut lab, &format!("{name}: {victim} {kill}"), |lab| {
                survivor.outlive(lab, &kill)
            })?;
            if tally.failed > before {
                break; // what comes after it would say nothing new
            }
            if number % IN_A_ROW == IN_A_ROW - 1 || number + 1 == kills {
                tally.check(&mut lab, &format!("{name}: a whole run after"), |lab| {
                    survivor.serve(lab)
                })?;
            }
        }
        say(&format!("        {name}: {}", survivor.times()));
        tally.check(&mut lab, &format!("{name}: no domain is left"), |lab| {
            [victim, name].into_iter().try_for_each(|guest| kill::clear(lab, guest))?;
            let listed = lab.xl(&["list"])?;
            ensure!(listed.lines().count() == 2, "xl lists more than dom0:\n{listed}");
            Ok(())
        })?;
    }
    Ok(tally)
}

impl Survivor {
    /// Starts one, and has it make a whole run: what is done only the first time is done then.
    fn start(lab: &mut Lab, name: &'static str, victim: &'static str) -> Result<Survivor> {
        lab.xl(&["create", &format!("{name}.cfg")])?;
        let domid = lab.domid(name)?.with_context(|| format!("no {name}"))?;
        let mut survivor = Survivor {
            name,
            victim,
            domid,
            looking: true,
            counts: Vec::new(),
            grants: Vec::new(),
            noticed: Vec::new(),
            clean: Vec::new(),
        };
        survivor.whole_run(lab, 0)?;
        survivor.counts = survivor.counts(lab)?;
        survivor.grants = survivor.grants(lab)?;
        Ok(survivor)
    }

    /// A whole run with a new peer, after which all is as it was.
    fn serve(&mut self, lab: &mut Lab) -> Result<()> {
        let mark = self.look_out(lab)?;
        self.whole_run(lab, mark)?;
        self.until_clean(lab)
    }

    /// A whole run with a new peer, which is destroyed afterwards; what the survivor says begins at `mark`.
    fn whole_run(&mut self, lab: &mut Lab, mark: usize) -> Result<()> {
        let (domid, name, victim) =
            (kill::create(lab, self.victim, Means::Destroy)?, self.name, self.victim);
        let over = |lab: &Lab| {
            let mine = lab.lines_from(name, mark);
            let over = proof::told(proof::CLEAN, &mine) && (name == GRANTER || proof::over(&mine));
            (over && proof::over(&lab.lines(victim))).then_some(())
        };
        lab.until(RUN, over).context("no whole run")?;
        self.looking = false;
        let both = [lab.lines_from(name, mark), lab.lines(victim)];
        for number in (1..=proof::CLEAN).filter(|number| *number != proof::SURVIVE) {
            if let Err(why) = proof::both(number, [&both[0], &both[1]]).outcome {
                bail!("step {number}: {why}");
            }
        }
        lab.xl(&["destroy", victim])?;
        view::gone(lab, domid)?;
        kill::forget(lab, victim)
    }

    /// A mapper is told to look for a granter, unless it does; a granter always serves. From where on it is heard.
    fn look_out(&mut self, lab: &mut Lab) -> Result<usize> {
        if self.name == GRANTER || self.looking {
            return Ok(lab.said(self.name).len());
        }
        self.looking = true;
        lab.command(self.name, "demo mapper")
    }

    /// One victim comes, and is ended.
    fn outlive(&mut self, lab: &mut Lab, kill: &Kill) -> Result<()> {
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
        self.looking &= !proof::over(&lab.lines_from(self.name, mark));
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
        kill::forget(lab, self.victim)
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
                None => proof::told(proof::CLEAN, &lines).then_some(None),
            }
        };
        lab.until(PATIENCE, heard).with_context(|| format!("{name} notices nothing"))
    }

    /// Waits until it is what it was: by Xen's word, and by its own if it is at its prompt.
    fn until_clean(&self, lab: &mut Lab) -> Result<()> {
        let end = Instant::now() + CLEAN;
        loop {
            let grants = self.grants(lab)?;
            let at_prompt = self.name == GRANTER || !self.looking;
            let counts = if at_prompt { self.counts(lab)? } else { self.counts.clone() };
            if grants == self.grants && counts == self.counts {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "it was {:?} {:?} and is {counts:?} {grants:?}",
                self.counts,
                self.grants
            );
        }
    }

    /// Its own counts.
    fn counts(&self, lab: &mut Lab) -> Result<Vec<(&'static str, u64)>> {
        let line = lab.ask(self.name, "status")?;
        let reply = Reply::parse(&line).context("no reply")?;
        let count = |key| Some((key, reply.number(key)?));
        let compared = |key: &&str| self.name == GRANTER || *key != "heap";
        COUNTS
            .into_iter()
            .filter(compared)
            .map(count)
            .collect::<Option<_>>()
            .with_context(|| line.clone())
    }

    /// What Xen says of its grants and its mappings.
    fn grants(&self, lab: &mut Lab) -> Result<Vec<Active>> {
        let mut grants = view::grants(lab)?;
        grants.retain(|active| [active.granter, active.mapper].contains(&self.domid));
        Ok(grants)
    }

    /// How long things took, in words.
    fn times(&self) -> String {
        let longest = |times: &[Duration]| times.iter().max().map_or(0, Duration::as_millis);
        let (noticed, clean) = (&self.noticed, &self.clean);
        format!(
            "{} of {} peers ended in the middle of a run, noticed at most {} ms after xl began to destroy them; \
             clean at most {} ms after, with the time it takes to ask",
            noticed.len(),
            clean.len(),
            longest(noticed),
            longest(clean)
        )
    }
}
