// SPDX-License-Identifier: MIT OR Apache-2.0
//! The xl tier: every request that a toolstack makes of a guest, and what else it does to it.
//!
//! Everything runs in one lab. The guest declines what it can't do with one line, and carries on;
//! requests to end must end it in the way asked.

mod moved; // xl save and xl migrate

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::extent::{Extent, Run};
use crate::guests::config::Settings;
use crate::guests::image;
use crate::guests::life::{self, GUEST, at_prompt, clear, gone};
use crate::host::steps::step;
use crate::judge::crash;
use crate::judge::tally::Tally;
use crate::judge::witness::Expected;
use crate::lab::dom0::More;
use crate::lab::{Lab, PATIENCE, debian};

/// A check: its name, and what it does.
type Check = (&'static str, fn(&mut Lab) -> Result<()>);

const CHECKS: [Check; 11] = [
    ("control/feature-* says what it can do", features),
    ("halt is poweroff", halted),
    ("crash is a crash, with its dump", crashed),
    ("suspend is declined", |lab| declined(lab, "suspend", "cannot be suspended")),
    ("an unknown word is declined", |lab| declined(lab, "dance", "dance is ignored")),
    ("xl sysrq is declined", keys),
    ("xl trigger, rename and vcpu-set do no harm", pushed),
    ("a second processor does no harm", two_processors),
    ("xl mem-set, down and up to maxmem", resized),
    ("an impossible size is declined", not_resized),
    ("sizes that change faster than the guest follows, while it shares", hurried),
];

/// The memory of a guest that is resized, in MiB: at the start, and at most.
const MEMORY: [u64; 2] = [32, 64];

/// What Xen logs about it.
pub const EXPECTED: &[Expected] = &[
    Expected::perhaps("d*v0 Unhandled: vec 2, NMI[*", "xl trigger nmi, which has no handler"),
    Expected::perhaps("d*v0 Over-allocation for d*: * > *", "a size that xl did not ask Xen for"),
];

/// Runs the tier.
pub fn run(run: &Run) -> Result<Tally> {
    let dom0 = run.dom0_with(&image::files()?, &shell()?)?;
    let mut tally = Tally::default();
    let mut lab = step("boot", || Lab::boot(&dom0, "xl", ""))?;
    check(&mut lab, &mut tally)?;
    check_long(&mut lab, &mut tally, run.extent)?;
    tally.witness(&mut lab, EXPECTED)?;
    Ok(tally)
}

/// The shell through which xl migrates a guest.
pub fn shell() -> Result<More> {
    const PROGRAMS: &[(&str, &str)] = &[("bin/dash", "bin/sh")];
    Ok(More { folder: debian::ssh()?, programs: PROGRAMS, files: Vec::new() })
}

/// Runs the checks that take a few seconds.
pub fn check(lab: &mut Lab, tally: &mut Tally) -> Result<()> {
    for (name, check) in CHECKS {
        tally.check(lab, name, check)?;
        clear(lab)?;
    }
    Ok(())
}

/// Runs the checks that take longer.
pub fn check_long(lab: &mut Lab, tally: &mut Tally, extent: Extent) -> Result<()> {
    tally.check(lab, "xl save and xl migrate fail, and their guests go on", moved::declined)?;
    clear(lab)?;
    let pause = Duration::from_secs(extent.of(3, 60));
    let name = format!("xl pause for {} s, xl unpause", pause.as_secs());
    tally.check(lab, &name, |lab| paused(lab, pause))?;
    clear(lab)
}

fn features(lab: &mut Lab) -> Result<()> {
    let domid = at_prompt(lab, &Settings::none())?;
    // These are written before the guest obeys anything.
    for (feature, value) in [("suspend", "0"), ("poweroff", "1"), ("reboot", "1")] {
        let said = lab.node(&control(domid, &format!("feature-{feature}")))?;
        ensure!(said == value, "feature-{feature} is `{said}`");
    }
    Ok(())
}

fn control(domid: u32, node: &str) -> String {
    format!("/local/domain/{domid}/control/{node}")
}

/// Creates a guest, waits until it listens to xl, and returns its domid.
fn listening(lab: &mut Lab, settings: &Settings) -> Result<u32> {
    let domid = at_prompt(lab, settings)?;
    lab.node(&format!("/local/domain/{domid}/data/grantkit/state"))?;
    Ok(domid)
}

fn halted(lab: &mut Lab) -> Result<()> {
    let domid = listening(lab, &Settings::none())?;
    lab.write_node(&control(domid, "shutdown"), "halt")?;
    gone(lab, GUEST)?;
    ensure!(!lab.crashed(GUEST), "it crashed");
    Ok(())
}

fn crashed(lab: &mut Lab) -> Result<()> {
    let domid = listening(lab, &Settings::none().on_crash("destroy"))?;
    let mark = lab.said(GUEST).len();
    lab.write_node(&control(domid, "shutdown"), "crash")?;
    gone(lab, GUEST)?;
    life::crashed(lab, GUEST)?;
    crash::dumped("panic", &lab.lines_from(GUEST, mark)).map_err(anyhow::Error::msg)
}

/// Checks that a word in control/shutdown is declined with a line, and acknowledged.
fn declined(lab: &mut Lab, word: &str, words: &str) -> Result<()> {
    let domid = listening(lab, &Settings::none())?;
    let mark = lab.said(GUEST).len();
    let node = control(domid, "shutdown");
    lab.write_node(&node, word)?;
    lab.says(GUEST, mark, words)?;
    emptied(lab, &node)?;
    unharmed(lab)
}

fn keys(lab: &mut Lab) -> Result<()> {
    let domid = listening(lab, &Settings::none())?;
    let mark = lab.said(GUEST).len();
    lab.xl(&["sysrq", GUEST, "h"])?;
    lab.says(GUEST, mark, "h is ignored")?;
    emptied(lab, &control(domid, "sysrq"))?;
    unharmed(lab)
}

/// Waits until the guest has acknowledged a node's value by emptying it.
fn emptied(lab: &mut Lab, node: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !lab.node_now(node)?.is_empty() {
        ensure!(Instant::now() < end, "{node} is not emptied");
    }
    Ok(())
}

/// Checks that the guest still works, and obeys xl.
fn unharmed(lab: &mut Lab) -> Result<()> {
    lab.ask(GUEST, "selftest")?;
    lab.xl(&["shutdown", "-w", GUEST])?;
    gone(lab, GUEST)
}

fn pushed(lab: &mut Lab) -> Result<()> {
    listening(lab, &Settings::none())?;
    for words in [&["trigger", GUEST, "nmi"][..], &["vcpu-set", GUEST, "2"]] {
        // Xen or xl may refuse these for such a guest, which is harmless as well.
        let program = lab.start(&[&["xl"], words].concat())?;
        let _ = lab.finish(program);
    }
    lab.xl(&["rename", GUEST, "other"])?;
    lab.xl(&["rename", "other", GUEST])?;
    unharmed(lab)
}

fn two_processors(lab: &mut Lab) -> Result<()> {
    listening(lab, &Settings::none().number("vcpus", 2))?;
    unharmed(lab)
}

fn paused(lab: &mut Lab, time: Duration) -> Result<()> {
    listening(lab, &Settings::none())?;
    lab.xl(&["pause", GUEST])?;
    let mark = lab.command(GUEST, "status")?;
    let end = Instant::now() + time;
    while lab.step(end)? {}
    ensure!(lab.said(GUEST).len() == mark, "a paused guest said something");
    lab.xl(&["unpause", GUEST])?;
    let line = lab.answer(GUEST, mark, PATIENCE).context("no answer after the pause")?;
    ensure!(line.starts_with("ok status "), "the guest answered: {line}");
    unharmed(lab)
}

/// Creates a guest that can grow, and returns its domid.
fn growing(lab: &mut Lab) -> Result<u32> {
    let [memory, maxmem] = MEMORY;
    listening(lab, &Settings::none().memory(memory).number("maxmem", maxmem))
}

/// The guest's size as `xl list` shows it, in MiB.
fn size(lab: &mut Lab) -> Result<u64> {
    let listed = lab.xl(&["list", GUEST])?;
    let row = listed.lines().last().unwrap_or_default();
    row.split_whitespace().nth(2).and_then(|mib| mib.parse().ok()).context(listed)
}

fn resized(lab: &mut Lab) -> Result<()> {
    growing(lab)?;
    let mut now = MEMORY[0];
    ensure!(size(lab)? == now, "xl list shows another size");
    for mib in [16, MEMORY[0], MEMORY[1], 12, MEMORY[1]] {
        let mark = lab.said(GUEST).len();
        lab.xl(&["mem-set", GUEST, &mib.to_string()])?;
        let what = if mib < now { "gave back" } else { "took" };
        let kib = now.abs_diff(mib) * 1024;
        let total = mib * 1024;
        lab.says(GUEST, mark, &format!("memory/target: {what} {kib} KiB, {total} KiB now"))?;
        let listed = size(lab)?;
        ensure!(listed == mib, "xl list shows {listed} MiB, not {mib}");
        now = mib;
    }
    // The self-test uses and shares the new memory.
    let free = lab.counts(GUEST)?;
    lab.ask(GUEST, "selftest").with_context(|| format!("{free:?}"))?;
    unharmed(lab)
}

fn not_resized(lab: &mut Lab) -> Result<()> {
    let domid = growing(lab)?;
    // xl refuses some sizes itself, and lowers Xen's limit for others, so the guest is also asked
    // directly below.
    for mib in ["0", "100000"] {
        let program = lab.start(&["xl", "mem-set", GUEST, mib])?;
        let _ = lab.finish(program);
    }
    let target = format!("/local/domain/{domid}/memory/target");
    for (kib, words) in [
        ("0", "0 KiB is no size"),
        ("much", "much KiB is no size"),
        ("99999999", "99999999 KiB is more than maxmem"),
        ("1024", "1024 KiB: more than that is in use"),
    ] {
        let mark = lab.said(GUEST).len();
        lab.write_node(&target, kib)?;
        lab.says(GUEST, mark, words)?;
        let listed = size(lab)?;
        ensure!(listed == MEMORY[0], "{kib}: xl list shows {listed} MiB");
    }
    unharmed(lab)
}

fn hurried(lab: &mut Lab) -> Result<()> {
    let domid = growing(lab)?;
    let [memory, maxmem] = MEMORY;
    let target = format!("/local/domain/{domid}/memory/target");
    let mut counts = Vec::new();
    lab.ask(GUEST, "selftest")?;
    // The guest first becomes larger than ever during the self-test, which must not take the page
    // tables that this needs for something left behind.
    for (command, largest) in [("status", memory), ("selftest", maxmem)] {
        let mark = lab.command(GUEST, command)?;
        for mib in [16, 1, largest, 0, maxmem + 1, 8, memory].into_iter().cycle().take(70) {
            lab.write_node(&target, &(mib * 1024).to_string())?;
        }
        let passed = lab.answer(GUEST, mark, PATIENCE)?;
        ensure!(passed.starts_with(&format!("ok {command} ")), "{passed}");
        // No size before is this one, so its line is the last.
        let last = 24;
        lab.write_node(&target, &(last * 1024).to_string())?;
        lab.says(GUEST, mark, &format!(", {} KiB now", last * 1024))?;
        let listed = size(lab)?;
        ensure!(listed == last, "xl list shows {listed} MiB");
        counts.push(lab.counts(GUEST)?.but_heap());
    }
    // An L1 table for each 2 MiB, and the lists of frame numbers of a PV guest.
    let tables = (maxmem - memory) / 2 + 4;
    counts[1].clone().but_tables(tables, &counts[0]).same(&counts[0])?;
    unharmed(lab)
}
