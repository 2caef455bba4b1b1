//! The granter survives a mapper that is destroyed while it maps 64 pages.
//!
//! Made from dom0 at the two guests' prompts. The granter must notice within a second, get every page back, and
//! serve a mapper that is new.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::judge::{number, value};
use crate::lab::{Lab, PATIENCE};

/// How soon a peer's death must be noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// Destroys the mapper and creates another one; what was proved, in words.
pub fn survive(lab: &mut Lab) -> Result<String> {
    let before = lab.ask("granter", "status")?;
    let (share, _) = shared(lab)?;
    let state = lab.ask("granter", &format!("state {share}"))?;
    ensure!(value(&state, "states")? == "mapped-rw*64", "before the end: {state}");
    let mark = lab.command("granter", &format!("wait {share} 10000"))?;
    let started = Instant::now();
    lab.xl(&["destroy", "mapper"])?;
    let destroyed = Instant::now();
    let waited = lab.answer("granter", mark, PATIENCE)?;
    let (noticed, ended) = (destroyed.elapsed(), started.elapsed());
    ensure!(waited.starts_with("ok wait "), "the granter answered: {waited}");
    ensure!(noticed <= NOTICED, "noticed after {} ms", noticed.as_millis());
    ensure!(lab.domid("mapper")?.is_none(), "the mapper is still there");
    freed(lab, share, &before)?;

    lab.xl(&["create", "mapper.cfg", "extra=\"\""])?;
    let new = lab.domid("mapper")?.context("no new mapper")?;
    let (share, map) = shared(lab)?;
    lab.ask("mapper", &format!("unmap {map}"))?;
    freed(lab, share, &before)?;
    Ok(format!(
        "64 pages freed {} ms after xl destroy began; domain {new} served",
        ended.as_millis()
    ))
}

/// Shares 64 pages between the two guests and checks both directions; the numbers of share and map.
fn shared(lab: &mut Lab) -> Result<(u64, u64)> {
    let granter = lab.domid("granter")?.context("no granter")?;
    let mapper = lab.domid("mapper")?.context("no mapper")?;
    let shared = lab.ask("granter", &format!("share {mapper} 64"))?;
    let mapped = lab.ask("mapper", &format!("map {granter} {}", value(&shared, "refs")?))?;
    let (share, map) = (number(&shared, "id")?, number(&mapped, "id")?);
    for (seed, writer, from, reader, to) in
        [(41, "granter", share, "mapper", map), (42, "mapper", map, "granter", share)]
    {
        let filled = lab.ask(writer, &format!("fill {from} {seed}"))?;
        let summed = lab.ask(reader, &format!("sum {to}"))?;
        let (wrote, read) = (value(&filled, "crc32")?, value(&summed, "crc32")?);
        ensure!(wrote == read, "{writer} wrote {wrote}, {reader} read {read}");
    }
    Ok((share, map))
}

/// Ends a share, and compares the granter with what it was.
fn freed(lab: &mut Lab, share: u64, before: &str) -> Result<()> {
    let ended = lab.ask("granter", &format!("unshare {share}"))?;
    ensure!(value(&ended, "state")? == "freed", "unshare: {ended}");
    let after = lab.ask("granter", "status")?;
    for key in ["grants", "parked", "maps", "reserved", "frames", "frames_free"] {
        let (was, is) = (value(before, key)?, value(&after, key)?);
        ensure!(was == is, "{key} was {was} and is {is}");
    }
    Ok(())
}
