//! Floods of events and of watches, and a hostile guest that ends at the worst moment.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::demo::SHOWN;
use super::{Attack, Stage, text};
use crate::lab::Lab;

/// In the order of running.
pub const ATTACKS: &[Attack] =
    &[("sends events at full rate", events), ("makes every watch fire, over and over", watches)];
/// After each of these the hostile guest is gone.
pub const ENDS: &[Attack] = &[
    ("vanishes while it maps the granter's pages", vanishing_mapper),
    ("vanishes while the mapper maps its pages", vanishing_granter),
];

/// How long events are sent, and what that and the rewriting of a node may take.
const EVENTS_MS: u32 = 4000;
const LIMIT: Duration = Duration::from_secs(300);

fn events(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let offered = lab.ask("granter", &format!("port offer {}", stage.hostile))?;
    let port = text(&offered, "port")?;
    let flood = lab.command("hostile", &format!("flood {} {port} {EVENTS_MS}", stage.granter))?;
    let mut served = 0;
    let flooding = |lab: &Lab| lab.lines_from("hostile", flood).is_empty();
    while flooding(lab) {
        stage.honest(lab)?;
        served += u32::from(flooding(lab));
    }
    ensure!(served > 0, "nobody was served while the flood lasted");
    let sent = text(&lab.answer("hostile", flood, LIMIT)?, "sent")?;
    lab.ask("granter", &format!("port close {port}"))?;
    Ok(format!("{sent} events; the victims shared {served} times meanwhile"))
}

fn watches(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let mark = lab.said("granter").len();
    let churn =
        lab.command("hostile", &format!("churn data/grantkit/demo/mapper {}", stage.firings))?;
    stage.whole_run(lab)?;
    ensure!(lab.lines_from("hostile", churn).is_empty(), "no whole run while the watches fired");
    lab.answer("hostile", churn, LIMIT)?;
    let lines = lab.lines_from("granter", mark);
    let told = lines.iter().filter(|line| line.contains("publishes nonsense")).count();
    ensure!(told <= 16, "{told} lines about it");
    Ok(format!(
        "a whole run of the demo meanwhile; {told} lines about nonsense, 8 between two runs"
    ))
}

fn vanishing_mapper(lab: &mut Lab, stage: &Stage) -> Result<String> {
    lab.ask("hostile", &format!("call {} keep", stage.granter))?;
    stage.parked(lab, SHOWN)?;
    end(lab)?;
    Ok(format!("a crash with {SHOWN} pages mapped, which came back"))
}

fn vanishing_granter(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let granted = lab.ask("hostile", &format!("grant {} 16", stage.mapper))?;
    let mapped =
        lab.ask("mapper", &format!("map {} {}", stage.hostile, text(&granted, "refs")?))?;
    let map = text(&mapped, "id")?;
    let filled = lab.ask("mapper", &format!("fill {map} 6"))?;
    end(lab)?;
    let state = text(&lab.ask("mapper", &format!("state {map}"))?, "states")?;
    let summed = lab.ask("mapper", &format!("sum {map}"))?;
    ensure!(text(&filled, "crc32")? == text(&summed, "crc32")?, "{filled}, but {summed}");
    let listed = lab.xl(&["list"])?;
    ensure!(listed.contains("(null)"), "a domain whose pages are mapped is kept: {listed}");
    lab.ask("mapper", &format!("unmap {map}"))?;
    Ok(format!("a crash while 16 pages were mapped: {state}, readable until unmapped"))
}

/// The hostile guest crashes, and its toolstack destroys it.
fn end(lab: &mut Lab) -> Result<()> {
    lab.type_on("hostile", b"crash\r")?;
    lab.until(LIMIT, |lab| lab.ended("hostile").then_some(()))?;
    lab.forget("hostile");
    Ok(())
}
