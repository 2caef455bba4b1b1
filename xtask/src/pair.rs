//! The pair tier: all that needs `xl` and two guests.
//!
//! One lab for each of Xen's two xenstore daemons. In each the demo, with the guests in either order, then checks of
//! what a toolstack does to a guest. Each destroys what it left behind, so that the next one begins with no guest.

use anyhow::{Context, Result, ensure};

use crate::console::whole_lines;
use crate::demo;
use crate::lab::{Lab, PATIENCE};
use crate::steps::step;
use crate::tally::Tally;
use crate::{dom0, image, judge};

/// What is seen once a guest's shell waits.
const PROMPT: &[u8] = b"grantkit> ";

/// A name, and what is done.
type Check = (&'static str, fn(&mut Lab) -> Result<()>);

/// A xenstore daemon, and which guest the demo begins with.
const LABS: [(&str, [&str; 2]); 2] =
    [("xenstored", ["granter", "mapper"]), ("oxenstored", ["mapper", "granter"])];

const CHECKS: [Check; 8] = [
    ("a guest of 4 MiB answers", smallest),
    ("xenstore says that it is ready", ready),
    ("xl console: prompt and history", console),
    ("xl pause, xl unpause", paused),
    ("xl reboot", rebooted),
    ("xl shutdown", shut_down),
    ("a crash leaves a dump", crashed),
    ("a map of a destroyed guest's pages is gone", outlived),
];

/// `./run.sh pair`
pub fn command() -> Result<()> {
    image::build()?;
    run(1)?.verdict("pair")
}

/// The whole tier as often as asked for, with a built image.
pub fn run(times: u32) -> Result<Tally> {
    let dom0 = dom0::prepare(&image::files()?)?;
    let mut tally = Tally::default();
    for (store, order) in (0..times).flat_map(|_| LABS) {
        let name = format!("pair-{store}");
        let mut lab = step(&format!("boot with {store}"), || {
            Lab::boot(&dom0, &name, &format!("xenstore={store}"))
        })?;
        for step in demo::prove(&mut lab, order)? {
            tally.count(step.outcome.is_ok());
        }
        clear(&mut lab)?;
        for (name, check) in CHECKS {
            tally.check(&mut lab, name, check)?;
            clear(&mut lab)?;
        }
    }
    Ok(tally)
}

/// A guest called `guest`, at its prompt; `settings` overrule grantkit.cfg's.
pub fn create(lab: &mut Lab, settings: &[&str]) -> Result<()> {
    lab.xl(&[&["create", "grantkit.cfg", "name=\"guest\""], settings].concat())?;
    prompt(lab, 0)
}

/// Waits for a prompt behind `mark`.
pub fn prompt(lab: &mut Lab, mark: usize) -> Result<()> {
    let at_prompt = |lab: &Lab| lab.said("guest")[mark..].ends_with(PROMPT).then_some(());
    lab.until(PATIENCE, at_prompt).context("no prompt")
}

/// Destroys all guests, and forgets what they said once their toolstack has had its last word.
pub fn clear(lab: &mut Lab) -> Result<()> {
    for guest in ["granter", "mapper", "guest"] {
        if lab.domid(guest)?.is_some() {
            let _ = lab.xl(&["destroy", guest]); // it may be ending by itself
        } else if lab.daemon(&format!("xl-{guest}")).is_empty() {
            continue;
        }
        gone(lab, guest)?;
        lab.forget(guest);
    }
    Ok(())
}

/// Waits until the toolstack has cleared a guest away.
pub fn gone(lab: &mut Lab, guest: &str) -> Result<()> {
    let gone = |lab: &Lab| lab.ended(guest).then_some(());
    lab.until(PATIENCE, gone).with_context(|| format!("{guest} is still there"))
}

fn smallest(lab: &mut Lab) -> Result<()> {
    create(lab, &["memory=4"])?;
    lab.ask("guest", "status").map(drop)
}

fn ready(lab: &mut Lab) -> Result<()> {
    create(lab, &[])?;
    let domid = lab.domid("guest")?.context("no guest")?;
    let state = lab.node(&format!("/local/domain/{domid}/data/grantkit/state"))?;
    ensure!(state == "ready", "its state is `{state}`");
    Ok(())
}

fn console(lab: &mut Lab) -> Result<()> {
    create(lab, &[])?;
    let domid = lab.domid("guest")?.context("no guest")?.to_string();
    // What `xl console` turns into; without a terminal it has to be told that somebody types.
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
    create(lab, &[])?;
    lab.xl(&["pause", "guest"])?;
    let mark = lab.command("guest", "status")?;
    let listed = lab.xl(&["list", "guest"])?;
    ensure!(listed.contains("--p"), "the guest is not paused: {listed}");
    ensure!(lab.said("guest").len() == mark, "a paused guest said something");
    lab.xl(&["unpause", "guest"])?;
    let line = lab.answer("guest", mark, PATIENCE)?;
    ensure!(line.starts_with("ok status "), "the guest answered: {line}");
    Ok(())
}

fn rebooted(lab: &mut Lab) -> Result<()> {
    // What builds the domain again is a daemon, which has no working directory.
    create(lab, &["kernel=\"/guests/grantkit\""])?;
    let (first, mark) = (lab.domid("guest")?, lab.said("guest").len());
    lab.xl(&["reboot", "guest"])?;
    prompt(lab, mark)?;
    lab.ask("guest", "status")?;
    ensure!(lab.domid("guest")? != first, "the domain is the same");
    Ok(())
}

fn shut_down(lab: &mut Lab) -> Result<()> {
    create(lab, &[])?;
    lab.xl(&["shutdown", "-w", "guest"])?;
    gone(lab, "guest")
}

fn crashed(lab: &mut Lab) -> Result<()> {
    create(lab, &["on_crash=\"destroy\""])?;
    let mark = lab.command("guest", "crash null")?;
    gone(lab, "guest")?;
    ensure!(lab.daemon("xl-guest").contains("reason code 3"), "it did not end as crashed");
    let lines = whole_lines(&lab.said("guest")[mark..]);
    judge::dumped("null", &lines).map_err(anyhow::Error::msg)
}

fn outlived(lab: &mut Lab) -> Result<()> {
    lab.xl(&["create", "grantkit.cfg", "name=\"granter\""])?;
    let granter = lab.domid("granter")?.context("no granter")?;
    lab.node(&format!("/local/domain/{granter}/data/grantkit/state"))?;
    create(lab, &[])?;
    let guest = lab.domid("guest")?.context("no guest")?;
    lab.ask("granter", &format!("share {guest} 2"))?;
    let filled = lab.ask("granter", "fill 1 42")?;
    lab.ask("guest", &format!("map {granter} 8,9"))?;
    let state = lab.ask("guest", "state 1")?;
    ensure!(state.ends_with(" states=mapped-rw*2"), "{state}");
    lab.xl(&["destroy", "granter"])?;
    let state = lab.ask("guest", "state 1")?;
    ensure!(state.ends_with(" states=gone*2"), "{state}");
    let sum = lab.ask("guest", "sum 1")?;
    ensure!(
        sum.split_once(" bytes")
            == filled.split_once(" bytes").map(|(_, rest)| ("ok sum id=1", rest)),
        "{sum}"
    );
    lab.ask("guest", "unmap 1").map(drop)
}
