// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that bytes arrive in both directions, and that read-only grants are enforced.

use anyhow::{Result, ensure};

use super::sides::{Check, Pages, Side, Sides};
use crate::guests::life::GUEST;
use crate::judge::reply::{number, value};
use crate::lab::PATIENCE;

/// The checksum of 64 pages filled from seed 42, as documented.
pub const CRC_42: &str = "95539f90";

pub const CHECKS: &[Check] = &[
    ("our share, Linux's map: 64 pages both ways; state, wait", ours),
    ("our read-only share: Linux reads, its writable map is refused", ours_read_only),
    ("Linux's share, our map: 64 pages both ways", linuxs),
    ("Linux's share, our read-only map: a write is EACCES", linuxs_mapped_read_only),
    ("Linux's read-only share: our writable map is refused", linuxs_read_only),
    ("all 1,024 pages that Linux may share, mapped by one line", all_of_linux),
];

fn ours(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Guest, 64, "", "")?;
    both_ways(sides, pages)?;
    sides.state(pages.share, "mapped-rw*64")?;
    let mark = sides.lab.command(GUEST, &format!("wait {} 10000", pages.share))?;
    sides.ask(Side::Linux, &format!("unmap {}", pages.map))?;
    let waited = sides.lab.answer(GUEST, mark, PATIENCE)?;
    ensure!(waited.starts_with("ok wait "), "the guest answered: {waited}");
    sides.state(pages.share, "idle*64")?;
    freed(sides, pages.share)
}

fn linuxs(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Linux, 64, "", "")?;
    both_ways(sides, pages)?;
    let state = sides.ask(Side::Guest, &format!("state {}", pages.map))?;
    ensure!(value(&state, "states")? == "mapped-rw*64", "not mapped: {state}");
    sides.part(pages)
}

fn both_ways(sides: &mut Sides<'_>, pages: Pages) -> Result<()> {
    for writer in [Side::Guest, Side::Linux] {
        let crc = sides.cross(pages, writer, 42)?;
        ensure!(crc == CRC_42, "{writer:?} filled from 42 and got {crc}");
        sides.cross(pages, writer, 7)?;
    }
    // The last bytes of the last page.
    let (last, text) = (64 * 4096 - 5, "hello");
    sides.ask(Side::Guest, &format!("write {} {last} {text}", guests(pages)))?;
    let id = if pages.granter == Side::Linux { pages.share } else { pages.map };
    let read = sides.ask(Side::Linux, &format!("read {id} {last} 5"))?;
    ensure!(read.ends_with(&format!(" text={text}")), "Linux read: {read}");
    Ok(())
}

fn guests(pages: Pages) -> u64 {
    if pages.granter == Side::Guest { pages.share } else { pages.map }
}

fn ours_read_only(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Guest, 64, " ro", " ro")?;
    let crc = sides.cross(pages, Side::Guest, 42)?;
    ensure!(crc == CRC_42, "filled from 42: {crc}");
    sides.state(pages.share, "mapped-ro*64")?;
    let shared = sides.ask(Side::Guest, "share 0 2 ro")?;
    let (share, refs) = (number(&shared, "id")?, value(&shared, "refs")?);
    sides.refused(Side::Linux, &format!("map {} {refs}", sides.domid), "EINVAL")?;
    sides.state(share, "idle*2")?;
    freed(sides, share)?;
    // The refusal has not affected the existing mapping.
    sides.cross(pages, Side::Guest, 43)?;
    sides.part(pages)
}

fn linuxs_mapped_read_only(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Linux, 64, "", " ro")?;
    let crc = sides.cross(pages, Side::Linux, 42)?;
    ensure!(crc == CRC_42, "filled from 42: {crc}");
    sides.refused(Side::Guest, &format!("write {} 0 x", pages.map), "EACCES")?;
    sides.refused(Side::Guest, &format!("fill {} 1", pages.map), "EACCES")?;
    let state = sides.ask(Side::Guest, &format!("state {}", pages.map))?;
    ensure!(value(&state, "states")? == "mapped-ro*64", "not read-only: {state}");
    sides.part(pages)
}

fn linuxs_read_only(sides: &mut Sides<'_>) -> Result<()> {
    let shared = sides.ask(Side::Linux, &format!("share {} 3 ro", sides.domid))?;
    let (share, refs) = (number(&shared, "id")?, value(&shared, "refs")?.to_owned());
    sides.ask(Side::Linux, &format!("write {share} 4096 for your eyes"))?;
    let line = sides.refused(Side::Guest, &format!("map 0 {refs}"), "EINVAL")?;
    ensure!(value(&line, "status")? == "general_error", "another status: {line}");
    let first = refs.split(',').next().unwrap_or_default();
    ensure!(line.contains(&format!("reference {first}:")), "the words don't name it: {line}");
    let mapped = sides.ask(Side::Guest, &format!("map 0 {refs} ro"))?;
    let map = number(&mapped, "id")?;
    let read = sides.ask(Side::Guest, &format!("read {map} 4096 13"))?;
    ensure!(read.ends_with(" text=for your eyes"), "the guest read: {read}");
    sides.ask(Side::Guest, &format!("unmap {map}"))?;
    sides.ask(Side::Linux, &format!("unshare {share}")).map(drop)
}

/// Shares all pages that Linux allows. Its limit includes pages that mappers still hold: had any
/// check left a page behind, this would be refused.
fn all_of_linux(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Linux, 1024, "", "")?;
    sides.cross(pages, Side::Linux, 1)?;
    sides.cross(pages, Side::Guest, 2)?;
    sides.part(pages)
}

/// Has the guest free a share that nobody maps.
pub fn freed(sides: &mut Sides<'_>, share: u64) -> Result<()> {
    let ended = sides.ask(Side::Guest, &format!("unshare {share}"))?;
    ensure!(value(&ended, "state")? == "freed", "not freed: {ended}");
    Ok(())
}
