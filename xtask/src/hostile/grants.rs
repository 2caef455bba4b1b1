//! Attacks by references, grant entries and mappings.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Attack, Stage, answered, refused, text};
use crate::lab::Lab;

/// In the order of running.
pub const ATTACKS: &[Attack] = &[
    ("guesses references", guesses),
    ("maps more than it was offered", maps_more),
    ("maps a read-only grant writable", writes_read_only),
    ("keeps what it was lent", keeps),
    ("offers references that it never granted", offers_nothing),
    ("revokes and rewrites what is mapped", rewrites_mapped),
    ("rewrites its entries while they are being mapped", rewrites_meanwhile),
];

/// All references there can be in a table of one frame, and some beyond it.
const GUESSED: u32 = 600;
/// How long entries are rewritten while the victim maps.
const REWRITE_MS: u32 = 3000;

fn guesses(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let shared = lab.ask("granter", &format!("share {} 8", stage.mapper))?;
    let (share, refs) = (text(&shared, "id")?, text(&shared, "refs")?);
    let mapped = lab.ask("mapper", &format!("map {} {refs}", stage.granter))?;
    let map = text(&mapped, "id")?;
    let filled = lab.ask("granter", &format!("fill {share} 7"))?;
    let mut words = Vec::new();
    for victim in [stage.granter, stage.mapper] {
        let guessed = lab.ask("hostile", &format!("guess {victim} 0 {GUESSED}"))?;
        ensure!(text(&guessed, "mapped")? == "0", "{guessed}");
        words.push(text(&guessed, "statuses")?);
    }
    stage.honest(lab)?;
    let summed = lab.ask("mapper", &format!("sum {map}"))?;
    ensure!(text(&filled, "crc32")? == text(&summed, "crc32")?, "{filled}, but {summed}");
    lab.ask("mapper", &format!("unmap {map}"))?;
    lab.ask("granter", &format!("unshare {share}"))?;
    Ok(format!("{GUESSED} of each victim's, none mapped: {}", words.join(" and ")))
}

fn maps_more(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let shared = lab.ask("granter", &format!("share {} 4", stage.hostile))?;
    let (share, refs) = (text(&shared, "id")?, text(&shared, "refs")?);
    let next: u32 = refs.rsplit(',').next().unwrap_or_default().parse::<u32>()? + 1;
    let words = refused(lab, "hostile", &format!("map {} {refs},{next} rw", stage.granter))?;
    let state = lab.ask("granter", &format!("state {share}"))?;
    ensure!(text(&state, "states")? == "idle*4", "{state}");
    // What it was offered it may have.
    lab.ask("hostile", &format!("map {} {refs} rw", stage.granter))?;
    let ended = lab.ask("granter", &format!("unshare {share}"))?;
    ensure!(text(&ended, "state")? == "freed", "{ended}");
    Ok(format!("4 pages and one more: {words}; none of the 4 stayed mapped"))
}

fn writes_read_only(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let shared = lab.ask("granter", &format!("share {} 1 ro", stage.hostile))?;
    let (share, refs) = (text(&shared, "id")?, text(&shared, "refs")?);
    let before = lab.ask("granter", &format!("fill {share} 5"))?;
    let words = refused(lab, "hostile", &format!("map {} {refs} rw", stage.granter))?;
    let probed = lab.ask("hostile", &format!("probe {} {refs}", stage.granter))?;
    ensure!(text(&probed, "stored")? == "false", "{probed}");
    let after = lab.ask("granter", &format!("sum {share}"))?;
    ensure!(text(&before, "crc32")? == text(&after, "crc32")?, "the page changed");
    lab.ask("granter", &format!("unshare {share}"))?;
    Ok(format!("{words}; mapped read-only, a store faults"))
}

fn keeps(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let shared = lab.ask("granter", &format!("share {} 16", stage.hostile))?;
    let (share, refs) = (text(&shared, "id")?, text(&shared, "refs")?);
    lab.ask("hostile", &format!("hold {} {refs}", stage.granter))?;
    let ended = lab.ask("granter", &format!("unshare {share}"))?;
    ensure!(text(&ended, "state")? == "parked", "{ended}");
    let status = lab.ask("granter", "status")?;
    ensure!(text(&status, "parked")? == "16", "{status}");
    stage.honest(lab)?;
    lab.ask("hostile", "drop")?;
    stage.unharmed(lab)?;
    Ok("16 pages that were let go of: parked and counted, and freed when it had to let go".into())
}

fn offers_nothing(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let own = lab.ask("hostile", &format!("grant {} 1", stage.granter))?;
    let mut words = Vec::new();
    for refs in ["300", "4294967295", "8,9,10,11", &text(&own, "refs")?] {
        for access in ["", " ro"] {
            words.push(refused(lab, "mapper", &format!("map {} {refs}{access}", stage.hostile))?);
        }
    }
    words.dedup();
    Ok(format!("not granted, not in the table, granted to another: {}", words.join("; ")))
}

fn rewrites_mapped(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let granted = lab.ask("hostile", &format!("grant {} 16", stage.mapper))?;
    let mapped =
        lab.ask("mapper", &format!("map {} {}", stage.hostile, text(&granted, "refs")?))?;
    let map = text(&mapped, "id")?;
    let filled = lab.ask("mapper", &format!("fill {map} 3"))?;
    for attack in ["revoke", "rewrite 300", "revoke"] {
        lab.ask("hostile", attack)?;
        let summed = lab.ask("mapper", &format!("sum {map}"))?;
        ensure!(text(&filled, "crc32")? == text(&summed, "crc32")?, "{filled}, but {summed}");
    }
    stage.honest(lab)?;
    lab.ask("mapper", &format!("unmap {map}"))?;
    let words =
        refused(lab, "mapper", &format!("map {} {}", stage.hostile, text(&granted, "refs")?))?;
    lab.ask("hostile", "restore")?;
    Ok(format!("16 mapped pages stayed readable, writable, and were unmapped; then: {words}"))
}

fn rewrites_meanwhile(lab: &mut Lab, stage: &Stage) -> Result<String> {
    let granted = lab.ask("hostile", &format!("grant {} 2", stage.mapper))?;
    let both = text(&granted, "refs")?;
    let one = both.split(',').next().unwrap_or_default().to_owned();
    let mark = lab.command("hostile", &format!("rewrite {REWRITE_MS}"))?;
    let (mut mapped, mut refused) = (0, 0);
    for refs in [&one, &both].into_iter().cycle() {
        if lab.lines_from("hostile", mark).iter().any(|line| line.starts_with("ok rewrite ")) {
            break;
        }
        let line = answered(lab, "mapper", &format!("map {} {refs}", stage.hostile))?;
        if line.starts_with("error map errno=EINVAL ") {
            refused += 1;
            continue;
        }
        let map = text(&line, "id")?;
        let filled = lab.ask("mapper", &format!("fill {map} {mapped}"))?;
        let summed = lab.ask("mapper", &format!("sum {map}"))?;
        ensure!(text(&filled, "crc32")? == text(&summed, "crc32")?, "{filled}, but {summed}");
        lab.ask("mapper", &format!("unmap {map}"))?;
        mapped += 1;
    }
    ensure!(mapped > 0 && refused > 0, "{mapped} maps succeeded and {refused} failed: no race");
    let writes = text(&lab.answer("hostile", mark, Duration::from_secs(20))?, "writes")?;
    Ok(format!("{writes} rewrites: {mapped} maps succeeded whole, {refused} were refused whole"))
}
