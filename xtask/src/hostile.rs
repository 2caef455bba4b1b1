//! A guest that means harm, and the guests that it does none to.
//!
//! Three domains: `hostile` (lab/trials/src/bin/hostile.rs), and the demo's `granter` and `mapper`, the normal image, which
//! are victims and each other's honest peer. Every attack is one check with one line: what was tried, what was said to
//! it, that both victims are what they were, and that they have served each other meanwhile or right afterwards.

mod demo; // false peers in the demo, and nonsense in xenstore
mod grants; // references, entries, mappings
mod rest; // events, watches, sudden ends

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::judge::Reply;
use crate::lab::{Lab, PATIENCE};
use crate::leaks::view::{self, Active};
use crate::steps::step;
use crate::tally::Tally;
use crate::tiers::Extent;
use crate::{dom0, guest, image, proof};

/// How soon the victims must be what they were.
const CLEAN: Duration = Duration::from_secs(3);
/// What a whole run of the demo may take.
const RUN: Duration = Duration::from_secs(90);
const VICTIMS: [&str; 2] = ["granter", "mapper"];
const COUNTS: [&str; 7] =
    ["grants", "parked", "maps", "reserved", "ports", "frames", "frames_free"];

/// A name, and the attack; what was said to it, in words.
type Attack = (&'static str, fn(&mut Lab, &Stage) -> Result<String>);

/// `./run.sh hostile`
pub fn command(full: bool) -> Result<()> {
    image::build()?;
    run(if full { Extent::Full } else { Extent::Mini })?.verdict("hostile")
}

/// Every attack, once in a test run and twice in full, with a built image.
pub fn run(extent: Extent) -> Result<Tally> {
    let mut files = image::files()?;
    let settings = "memory = 8\non_crash = \"destroy\"\n";
    files.extend(guest::files("hostile", "hostile", settings)?);
    let dom0 = dom0::prepare(&files)?;
    let mut tally = Tally::default();
    for _ in 0..extent.of(1, 2) {
        let mut lab = step("boot the lab", || Lab::boot(&dom0, "hostile", ""))?;
        let mut stage = step("a hostile guest and two honest ones", || {
            Stage::set(&mut lab, extent.of(2_000, 10_000))
        })?;
        for (name, attack) in grants::ATTACKS.iter().chain(demo::ATTACKS).chain(rest::ATTACKS) {
            tally.told(&mut lab, name, |lab| {
                let words = attack(lab, &stage)?;
                stage.unharmed(lab)?;
                stage.honest(lab).context("the honest peer afterwards")?;
                Ok(words)
            })?;
        }
        for (name, attack) in rest::ENDS {
            tally.told(&mut lab, name, |lab| {
                let words = attack(lab, &stage)?;
                view::gone(lab, stage.hostile)?;
                stage.unharmed(lab)?;
                stage.honest(lab).context("the honest peer afterwards")?;
                stage.hostile = Stage::bring_hostile(lab)?;
                Ok(words)
            })?;
        }
        tally.told(&mut lab, "in the end", |lab| {
            stage.whole_run(lab)?;
            stage.unharmed(lab)?;
            lab.xl(&["destroy", "hostile"])?;
            view::gone(lab, stage.hostile)?;
            let grants = stage.grants(lab)?;
            ensure!(grants == stage.entries, "Xen's view was {:?}, is {grants:?}", stage.entries);
            Ok("a whole run of the demo, Xen's entries as in the beginning, no zombie".into())
        })?;
    }
    Ok(tally)
}

/// The three domains, and what the victims were before.
pub struct Stage {
    /// Their numbers. The hostile one's is the nearest to the mapper's, which looks there first.
    pub hostile: u32,
    pub mapper: u32,
    pub granter: u32,
    /// How often every watch is made to fire.
    pub firings: u32,
    counts: [Vec<u64>; 2],
    entries: Vec<Active>,
}

impl Stage {
    /// Creates all three; the victims make a whole run, so that what is done only once is done.
    fn set(lab: &mut Lab, firings: u32) -> Result<Stage> {
        let hostile = Stage::bring_hostile(lab)?;
        lab.xl(&["create", "mapper.cfg", "extra=\"\""])?;
        lab.xl(&["create", "granter.cfg"])?;
        let mapper = lab.domid("mapper")?.context("no mapper")?;
        let granter = lab.domid("granter")?.context("no granter")?;
        let (counts, entries) = ([Vec::new(), Vec::new()], Vec::new());
        let mut stage = Stage { hostile, mapper, granter, firings, counts, entries };
        // The shell's handle comes first: it is open for good, and every later one has the same place beside it.
        refused(lab, "mapper", &format!("map {hostile} 8"))?;
        let first = lab.command("mapper", "demo mapper")?;
        lab.answer("mapper", first, RUN)?;
        lab.answer("granter", 0, RUN)?; // it ends by its own line, a little later
        stage.honest(lab)?;
        stage.counts = [counts_of(lab, "granter")?, counts_of(lab, "mapper")?];
        stage.entries = stage.grants(lab)?;
        Ok(stage)
    }

    fn bring_hostile(lab: &mut Lab) -> Result<u32> {
        lab.xl(&["create", "hostile.cfg"])?;
        says(lab, "hostile", 0, "hostile: ready")?;
        lab.domid("hostile")?.context("no hostile guest")
    }

    /// The victims share with each other, with what they type at their prompts.
    pub fn honest(&self, lab: &mut Lab) -> Result<()> {
        let shared = lab.ask("granter", &format!("share {} 8", self.mapper))?;
        let (share, refs) = (text(&shared, "id")?, text(&shared, "refs")?);
        let mapped = lab.ask("mapper", &format!("map {} {refs}", self.granter))?;
        let map = text(&mapped, "id")?;
        let (ours, theirs) = (("granter", &share), ("mapper", &map));
        for (seed, writer, reader) in [(1, ours, theirs), (2, theirs, ours)] {
            let filled = lab.ask(writer.0, &format!("fill {} {seed}", writer.1))?;
            let summed = lab.ask(reader.0, &format!("sum {}", reader.1))?;
            ensure!(text(&filled, "crc32")? == text(&summed, "crc32")?, "{filled}, but {summed}");
        }
        lab.ask("mapper", &format!("unmap {map}"))?;
        let ended = lab.ask("granter", &format!("unshare {share}"))?;
        ensure!(text(&ended, "state")? == "freed", "{ended}");
        Ok(())
    }

    /// The victims make a whole run of the demo with each other.
    pub fn whole_run(&self, lab: &mut Lab) -> Result<()> {
        let marks = VICTIMS.map(|victim| lab.said(victim).len());
        lab.command("mapper", "demo mapper")?;
        let answer = lab.answer("mapper", marks[1], RUN)?;
        ensure!(answer.starts_with("ok demo mapper passed=7 failed=0"), "{answer}");
        let clean = |lab: &Lab| {
            proof::told(proof::CLEAN, &lab.lines_from("granter", marks[0])).then_some(())
        };
        lab.until(PATIENCE, clean).context("the granter does not end its run")
    }

    /// Waits until both victims' counts are what they were.
    pub fn unharmed(&self, lab: &mut Lab) -> Result<()> {
        let end = Instant::now() + CLEAN;
        loop {
            let counts = [counts_of(lab, "granter")?, counts_of(lab, "mapper")?];
            if counts == self.counts {
                return Ok(());
            }
            let before = &self.counts;
            ensure!(Instant::now() < end, "{COUNTS:?} were {before:?} and are {counts:?}");
        }
    }

    /// Waits until so many pages of the granter's are parked.
    pub fn parked(&self, lab: &mut Lab, pages: u64) -> Result<()> {
        let end = Instant::now() + CLEAN;
        loop {
            let status = lab.ask("granter", "status")?;
            if text(&status, "parked")? == pages.to_string() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "not {pages} pages are parked: {status}");
        }
    }

    /// Xen's entries of the victims.
    fn grants(&self, lab: &mut Lab) -> Result<Vec<Active>> {
        let mut grants = view::grants(lab)?;
        grants.retain(|active| active.granter != self.hostile);
        Ok(grants)
    }
}

fn counts_of(lab: &mut Lab, victim: &str) -> Result<Vec<u64>> {
    let line = lab.ask(victim, "status")?;
    COUNTS.iter().map(|key| Ok(text(&line, key)?.parse()?)).collect()
}

/// The value of a key in a result line.
pub fn text(line: &str, key: &str) -> Result<String> {
    let reply = Reply::parse(line);
    let value = reply.and_then(|reply| reply.text(key).map(str::to_owned));
    value.with_context(|| format!("no {key} in `{line}`"))
}

/// What a command was answered with, well or not.
pub fn answered(lab: &mut Lab, guest: &str, command: &str) -> Result<String> {
    let mark = lab.command(guest, command)?;
    lab.answer(guest, mark, PATIENCE).with_context(|| format!("`{command}`"))
}

/// Types a command that must be refused; the words it is refused with.
pub fn refused(lab: &mut Lab, guest: &str, command: &str) -> Result<String> {
    let line = answered(lab, guest, command)?;
    let Some((_, words)) = line.split_once(" errno=") else {
        bail!("{guest} did not refuse `{command}`: {line}");
    };
    ensure!(line.starts_with("error "), "{line}");
    Ok(words.to_owned())
}

/// Waits for a line with these words behind `mark`.
pub fn says(lab: &mut Lab, guest: &str, mark: usize, words: &str) -> Result<String> {
    let said =
        |lab: &Lab| lab.lines_from(guest, mark).into_iter().find(|line| line.contains(words));
    lab.until(PATIENCE, said).with_context(|| format!("{guest} does not say `{words}`"))
}
