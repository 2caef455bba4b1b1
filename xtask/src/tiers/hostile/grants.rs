// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attacks with references, grant entries and mappings.

use anyhow::{Context, Result, ensure};

use super::victims::{Attack, HOSTILE, Lent, Victims, honest};
use crate::guests::sharing::Sharing;
use crate::judge::reply::{number, same_bytes, value};
use crate::lab::{Lab, PATIENCE};

/// The attacks, in the order in which they run.
pub const ATTACKS: &[Attack] = &[
    ("guesses references", guesses),
    ("maps more than it was offered", maps_more),
    ("maps a read-only grant writable", writes_read_only),
    ("keeps what it was granted", keeps),
    ("offers references that it never granted", offers_nothing),
    ("revokes and rewrites what is mapped", rewrites_mapped),
    ("rewrites its entries while they are being mapped", rewrites_meanwhile),
];

/// How many references are guessed: all that a table of one frame can have, and some beyond it.
const GUESSED: u32 = 600;
/// How long entries are rewritten while the victim maps.
const REWRITE_MS: u32 = 3000;

/// Has the granter share pages with the hostile guest; returns its id for them, and the references.
fn offered(lab: &mut Lab, victims: &Victims, pages: &str) -> Result<(u64, String)> {
    let shared = lab.ask("granter", &format!("share {} {pages}", victims.hostile))?;
    Ok((number(&shared, "id")?, value(&shared, "refs")?.to_owned()))
}

fn guesses(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let sharing = Sharing::start(lab, 8)?;
    let filled = lab.ask("granter", &format!("fill {} 7", sharing.share))?;
    let mut words = Vec::new();
    for victim in [victims.granter, victims.mapper] {
        let guessed = lab.ask(HOSTILE, &format!("guess {victim} 0 {GUESSED}"))?;
        ensure!(value(&guessed, "mapped")? == "0", "{guessed}");
        words.push(value(&guessed, "statuses")?.to_owned());
    }
    honest(lab)?;
    same_bytes(&filled, &lab.ask("mapper", &format!("sum {}", sharing.map))?)?;
    sharing.end(lab)?;
    Ok(format!("{GUESSED} of each victim's, none mapped: {}", words.join(" and ")))
}

fn maps_more(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let (share, refs) = offered(lab, victims, "4")?;
    // References come in any order, but one beyond the greatest was not offered.
    let offered = refs.split(',').map(str::parse::<u32>).collect::<Result<Vec<_>, _>>()?;
    let next = offered.iter().max().context("nothing is offered")? + 1;
    let words = lab.refused(HOSTILE, &format!("map {} {refs},{next} rw", victims.granter))?;
    let state = lab.ask("granter", &format!("state {share}"))?;
    ensure!(value(&state, "states")? == "idle*4", "{state}");
    // It may map what it was offered.
    lab.ask(HOSTILE, &format!("map {} {refs} rw", victims.granter))?;
    let ended = lab.ask("granter", &format!("unshare {share}"))?;
    ensure!(value(&ended, "state")? == "freed", "{ended}");
    Ok(format!("4 pages and one more: {words}; none of the 4 stayed mapped"))
}

fn writes_read_only(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let (share, refs) = offered(lab, victims, "1 ro")?;
    let before = lab.ask("granter", &format!("fill {share} 5"))?;
    let words = lab.refused(HOSTILE, &format!("map {} {refs} rw", victims.granter))?;
    let probed = lab.ask(HOSTILE, &format!("probe {} {refs}", victims.granter))?;
    ensure!(value(&probed, "stored")? == "false", "{probed}");
    let after = lab.ask("granter", &format!("sum {share}"))?;
    same_bytes(&before, &after)?;
    lab.ask("granter", &format!("unshare {share}"))?;
    Ok(format!("{words}; mapped read-only, a store faults"))
}

fn keeps(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let (share, refs) = offered(lab, victims, "16")?;
    lab.ask(HOSTILE, &format!("hold {} {refs}", victims.granter))?;
    let ended = lab.ask("granter", &format!("unshare {share}"))?;
    ensure!(value(&ended, "state")? == "parked", "{ended}");
    let status = lab.ask("granter", "status")?;
    ensure!(value(&status, "parked")? == "16", "{status}");
    honest(lab)?;
    lab.ask(HOSTILE, "drop")?;
    victims.unharmed(lab)?;
    Ok("16 pages: parked and counted, and freed when it had to unmap them".into())
}

fn offers_nothing(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let own = lab.ask(HOSTILE, &format!("grant {} 1", victims.granter))?;
    let mut words = Vec::new();
    for refs in ["300", "4294967295", "8,9,10,11", value(&own, "refs")?] {
        for access in ["", " ro"] {
            words.push(lab.refused("mapper", &format!("map {} {refs}{access}", victims.hostile))?);
        }
    }
    words.dedup();
    Ok(format!("not granted, not in the table, granted to another: {}", words.join("; ")))
}

fn rewrites_mapped(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let lent = Lent::to_the_mapper(lab, victims, 16)?;
    for attack in ["revoke", "rewrite 300", "revoke"] {
        lab.ask(HOSTILE, attack)?;
        lent.readable(lab)?;
    }
    honest(lab)?;
    lab.ask("mapper", &format!("unmap {}", lent.map))?;
    let words = lab.refused("mapper", &format!("map {} {}", victims.hostile, lent.refs))?;
    lab.ask(HOSTILE, "restore")?;
    Ok(format!("16 mapped pages stayed readable, writable, and were unmapped; then: {words}"))
}

fn rewrites_meanwhile(lab: &mut Lab, victims: &Victims) -> Result<String> {
    let granted = lab.ask(HOSTILE, &format!("grant {} 2", victims.mapper))?;
    let both = value(&granted, "refs")?;
    let one = both.split(',').next().unwrap_or_default();
    let mark = lab.command(HOSTILE, &format!("rewrite {REWRITE_MS}"))?;
    let (mut mapped, mut refused) = (0, 0);
    for refs in [one, both].into_iter().cycle() {
        if lab.lines_from(HOSTILE, mark).iter().any(|line| line.starts_with("ok rewrite ")) {
            break;
        }
        let line = lab.answered("mapper", &format!("map {} {refs}", victims.hostile))?;
        if line.starts_with("error map errno=EINVAL ") {
            refused += 1;
            continue;
        }
        let map = value(&line, "id")?;
        let filled = lab.ask("mapper", &format!("fill {map} {mapped}"))?;
        let summed = lab.ask("mapper", &format!("sum {map}"))?;
        same_bytes(&filled, &summed)?;
        lab.ask("mapper", &format!("unmap {map}"))?;
        mapped += 1;
    }
    ensure!(mapped > 0 && refused > 0, "{mapped} maps succeeded and {refused} failed: no race");
    let rewritten = lab.answer(HOSTILE, mark, PATIENCE)?;
    let writes = value(&rewritten, "writes")?;
    Ok(format!("{writes} rewrites: {mapped} maps succeeded whole, {refused} were refused whole"))
}
