// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pair tier: everything that needs `xl` and two guests.
//!
//! There is one lab for each of Xen's two xenstore daemons. In each the demo runs, in one lab with
//! the granter first and in the other with the mapper first, followed by checks of what a toolstack
//! does to a guest. After each check its guests are removed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::life::{GUEST, PAIR, PLAIN, at_prompt, clear, create, gone, prompt};
use crate::guests::{demo, image, life};
use crate::host::browser;
use crate::host::steps::step;
use crate::judge::crash;
use crate::judge::reply::same_bytes;
use crate::judge::tally::Tally;
use crate::judge::witness::{Expected, said};
use crate::lab::{Lab, PATIENCE, apt};

/// A check: its name, and what it does.
type Check = (&'static str, fn(&mut Lab) -> Result<()>);

/// A xenstore daemon, and the order in which the demo's guests start.
const LABS: [(&str, [&str; 2]); 2] =
    [("xenstored", ["granter", "mapper"]), ("oxenstored", ["mapper", "granter"])];

/// The daemon in whose lab the demo's guests log what they do.
const WATCHED: &str = "oxenstored";
/// The width and height of the screenshot of that page.
const PICTURE: [u32; 2] = [800, 1000];

const CHECKS: [Check; 10] = [
    ("a guest of 4 MiB answers", smallest),
    ("xenstore says that it is ready", ready),
    ("xl console: prompt and history", console),
    ("xl pause, xl unpause", paused),
    ("xl reboot", rebooted),
    ("xl shutdown", shut_down),
    ("a crash leaves a dump", crashed),
    ("a map of a destroyed guest's pages is gone", outlived),
    ("a share is offered and taken by name", by_name),
    ("a node published for a guest before it exists", published_early),
];

/// The guest of lab/trials/src/bin/early.rs, and how soon its reader must be admitted: it asks Xen
/// once a second.
const EARLY: &str = "early";
const ADMITTED: Duration = Duration::from_secs(4);

/// What a debug Xen logs about it.
const EXPECTED: &[Expected] = &[
    Expected::debug(said::READ_ONLY, "the demo maps a read-only page writable"),
    Expected::debug(said::ENDED, "the demo's mapper is destroyed while it maps"),
];

/// Runs the tier once, or in full five times.
pub fn run(run: &Run) -> Result<Tally> {
    let mut files = image::files()?;
    files.extend(more_files()?);
    let dom0 = run.dom0(&files)?;
    let mut tally = Tally::default();
    for (store, order) in (0..run.extent.of(1, 5)).flat_map(|_| LABS) {
        let name = format!("pair-{store}");
        let mut lab = step(&format!("boot with {store}"), || {
            Lab::boot(&dom0, &name, &format!("xenstore={store}"))
        })?;
        // In the other lab the guests run as their xl configurations say.
        let proof = demo::prove(&mut lab, order, store == WATCHED, &Settings::none())?;
        for step in &proof.steps {
            tally.count(step.outcome.is_ok());
        }
        if store == WATCHED {
            tally.check(&mut lab, "the run's picture can be read, narrow and wide", |lab| {
                let page = proof.draw(lab)?;
                apt::installed(browser::BROWSER, &[browser::BROWSER])?;
                browser::look(&page)?;
                let [width, height] = PICTURE;
                browser::picture(&page, &page.with_extension("png"), width, height)
            })?;
        }
        clear(&mut lab)?;
        check(&mut lab, &mut tally)?;
        tally.witness(&mut lab, EXPECTED)?;
    }
    Ok(tally)
}

/// The files that the checks need besides the image.
pub fn more_files() -> Result<Vec<PathBuf>> {
    Ok(config::files(EARLY, Settings::none().memory(4))?.into())
}

/// Runs the checks of what a toolstack does to a guest.
pub fn check(lab: &mut Lab, tally: &mut Tally) -> Result<()> {
    for (name, check) in CHECKS {
        tally.check(lab, name, check)?;
        clear(lab)?;
    }
    Ok(())
}

fn smallest(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none().memory(4))?;
    lab.ask(GUEST, "status").map(drop)
}

fn ready(lab: &mut Lab) -> Result<()> {
    let domid = at_prompt(lab, &Settings::none())?;
    let state = lab.node(&format!("/local/domain/{domid}/data/grantkit/state"))?;
    ensure!(state == "ready", "its state is `{state}`");
    Ok(())
}

fn console(lab: &mut Lab) -> Result<()> {
    let domid = at_prompt(lab, &Settings::none())?.to_string();
    // The program that `xl console` runs; without a terminal it must be told that the session is
    // interactive.
    let console = lab.start(&["xenconsole", "--interactive", &domid])?;
    let answers = |lab: &Lab| lab.output(console).matches("ok status ").count();
    lab.until(PATIENCE, |lab| lab.output(console).ends_with("grantkit>").then_some(()))?;
    for (keys, times) in [(b"status\r".as_slice(), 1), (b"\x1b[A\r", 2)] {
        lab.feed(console, keys)?;
        lab.until(PATIENCE, |lab| (answers(lab) == times).then_some(())).context("no answer")?;
    }
    lab.feed(console, b"\x1d")?;
    lab.finish(console).map(drop)
}

fn paused(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    lab.xl(&["pause", GUEST])?;
    let mark = lab.command(GUEST, "status")?;
    let listed = lab.xl(&["list", GUEST])?;
    ensure!(listed.contains("--p"), "the guest is not paused: {listed}");
    ensure!(lab.said(GUEST).len() == mark, "a paused guest said something");
    lab.xl(&["unpause", GUEST])?;
    let line = lab.answer(GUEST, mark, PATIENCE)?;
    ensure!(line.starts_with("ok status "), "the guest answered: {line}");
    Ok(())
}

fn rebooted(lab: &mut Lab) -> Result<()> {
    // The domain is rebuilt by a daemon with another working directory, so the path is absolute.
    let first = at_prompt(lab, &Settings::none().text("kernel", "/guests/grantkit"))?;
    let mark = lab.said(GUEST).len();
    lab.xl(&["reboot", GUEST])?;
    prompt(lab, mark)?;
    lab.ask(GUEST, "status")?;
    ensure!(lab.domid(GUEST)? != Some(first), "the domain is the same");
    Ok(())
}

fn shut_down(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    lab.xl(&["shutdown", "-w", GUEST])?;
    gone(lab, GUEST)
}

/// Checks that a guest that stores to address 0 crashes and leaves a dump.
pub fn crashed(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none().on_crash("destroy"))?;
    let mark = lab.command(GUEST, "crash null")?;
    gone(lab, GUEST)?;
    life::crashed(lab, GUEST)?;
    crash::dumped("null", &lab.lines_from(GUEST, mark)).map_err(anyhow::Error::msg)
}

fn outlived(lab: &mut Lab) -> Result<()> {
    let granter = create(lab, "granter", PLAIN, &Settings::none())?;
    lab.node(&format!("/local/domain/{granter}/data/grantkit/state"))?;
    let guest = at_prompt(lab, &Settings::none())?;
    lab.ask("granter", &format!("share {guest} 2"))?;
    let filled = lab.ask("granter", "fill 1 42")?;
    lab.ask(GUEST, &format!("map {granter} 8,9"))?;
    let state = lab.ask(GUEST, "state 1")?;
    ensure!(state.ends_with(" states=mapped-rw*2"), "{state}");
    lab.xl(&["destroy", "granter"])?;
    let state = lab.ask(GUEST, "state 1")?;
    ensure!(state.ends_with(" states=gone*2"), "{state}");
    same_bytes(&filled, &lab.ask(GUEST, "sum 1")?)?;
    lab.ask(GUEST, "unmap 1").map(drop)
}

fn by_name(lab: &mut Lab) -> Result<()> {
    let [granter, mapper] = PAIR;
    let number = create(lab, granter, PLAIN, &Settings::none())?;
    let peer = create(lab, mapper, PLAIN, &Settings::none())?;
    lab.ask(granter, &format!("share {peer} 8"))?;
    lab.ask(granter, "write 1 28672 by name")?;
    lab.ask(granter, "offer 1 frames")?;
    let mark = lab.command(mapper, "peers")?;
    lab.says(mapper, mark, &format!("peer domid={number} name={granter} offers=frames"))?;
    lab.answer(mapper, mark, PATIENCE)?;
    let taken = lab.ask(mapper, &format!("take {granter} frames"))?;
    ensure!(taken.contains(&format!(" domid={number} pages=8 ")), "{taken}");
    let read = lab.ask(mapper, "read 1 28672 7")?;
    ensure!(read.ends_with(" text=by name"), "{read}");
    lab.ask(granter, "unshare 1")?;
    let words = lab.refused(mapper, &format!("take {granter} frames"))?;
    ensure!(words.starts_with("ENOENT "), "{words}");
    let words = lab.refused(mapper, "take nobody frames")?;
    ensure!(words.starts_with("ENOENT "), "{words}");
    Ok(())
}

fn published_early(lab: &mut Lab) -> Result<()> {
    let [granter, mapper] = PAIR;
    let publisher = create(lab, granter, EARLY, &Settings::none())?;
    let reader = publisher + 1;
    lab.says(granter, 0, &format!("early: published for {reader}"))?;
    ensure!(at_prompt(lab, &Settings::none())? == reader, "xl did not assign domid {reader}");
    let command = format!("xs read /local/domain/{publisher}/data/grantkit/early");
    let end = Instant::now() + ADMITTED;
    let read = loop {
        let answer = lab.answered(GUEST, &command)?;
        if answer.starts_with("ok ") || Instant::now() > end {
            break answer;
        }
    };
    ensure!(read.starts_with("ok xs read ") && read.ends_with("=hello"), "{read}");
    // No other domain may read it.
    create(lab, mapper, PLAIN, &Settings::none())?;
    let words = lab.refused(mapper, &command)?;
    ensure!(words.starts_with("EACCES "), "another domain: {words}");
    lab.ask(GUEST, &command).map(drop)
}
