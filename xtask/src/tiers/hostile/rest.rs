// SPDX-License-Identifier: MIT OR Apache-2.0
//! Floods of events and watches, and a hostile guest that ends at the worst moment.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::demo::SHOWN;
use super::victims::{Attack, HOSTILE, Lent, Victims, honest, parked, whole_run};
use crate::judge::reply::value;
use crate::lab::Lab;

/// The floods, in the order in which they run.
pub const ATTACKS: &[Attack] =
    &[("sends events at full rate", events), ("makes every watch fire, over and over", watches)];
/// Attacks that end the hostile guest.
pub const ENDS: &[Attack] = &[
    ("vanishes while it maps the granter's pages", vanishing_mapper),
    ("vanishes while the mapper maps its pages", vanishing_granter),
];

/// How long events are sent, and the time limit for the floods.
const EVENTS_MS: u32 = 4000;
const LIMIT: Duration = Duration::from_secs(300);

fn events(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let offered = lab.ask("granter", &format!("port offer {}", victims.hostile))?;
    let port = value(&offered, "port")?;
    let flood = lab.command(HOSTILE, &format!("flood {} {port} {EVENTS_MS}", victims.granter))?;
    let mut served = 0;
    let flooding = |lab: &Lab| lab.lines_from(HOSTILE, flood).is_empty();
    while flooding(lab) {
        honest(lab)?;
        served += u32::from(flooding(lab));
    }
    ensure!(served > 0, "nobody was served while the flood lasted");
    let flooded = lab.answer(HOSTILE, flood, LIMIT)?;
    let sent = value(&flooded, "sent")?;
    lab.ask("granter", &format!("port close {port}"))?;
    Ok(format!("{sent} events; the victims shared {served} times meanwhile"))
}

fn watches(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let mark = lab.said("granter").len();
    let churn =
        lab.command(HOSTILE, &format!("churn data/grantkit/demo/mapper {}", victims.firings))?;
    whole_run(lab)?;
    ensure!(lab.lines_from(HOSTILE, churn).is_empty(), "no whole run while the watches fired");
    // The watches fire until a key is typed, however long the run takes.
    lab.type_on(HOSTILE, b"\r")?;
    lab.answer(HOSTILE, churn, LIMIT)?;
    let lines = lab.lines_from("granter", mark);
    let told = lines.iter().filter(|line| line.contains("publishes nonsense")).count();
    ensure!(told <= 16, "{told} lines about it");
    Ok(format!(
        "a whole run of the demo meanwhile; {told} lines about nonsense, 8 between two runs"
    ))
}

fn vanishing_mapper(lab: &mut Lab, victims: &Victims) -> Result<String> {
    lab.ask(HOSTILE, &format!("call {} keep", victims.granter))?;
    parked(lab, SHOWN)?;
    end(lab)?;
    Ok(format!("a crash with {SHOWN} pages mapped, which came back"))
}

fn vanishing_granter(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let lent = Lent::to_the_mapper(lab, victims, 16)?;
    end(lab)?;
    let state = lab.ask("mapper", &format!("state {}", lent.map))?;
    lent.readable(lab)?;
    let listed = lab.xl(&["list"])?;
    ensure!(listed.contains("(null)"), "a domain whose pages are mapped is kept: {listed}");
    lab.ask("mapper", &format!("unmap {}", lent.map))?;
    let states = value(&state, "states")?;
    Ok(format!("a crash while 16 pages were mapped: {states}, readable until unmapped"))
}

/// Crashes the hostile guest, and waits until its toolstack has destroyed it.
fn end(lab: &mut Lab) -> Result<()> {
    lab.type_on(HOSTILE, b"crash\r")?;
    lab.until(LIMIT, |lab| lab.ended(HOSTILE).then_some(()))?;
    lab.forget(HOSTILE);
    Ok(())
}
