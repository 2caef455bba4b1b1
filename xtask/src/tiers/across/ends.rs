// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the end of one side while the other still shares or maps: the survivor must be clean, and
//! serve the next peer.

use anyhow::{Result, ensure};

use super::data::{CRC_42, freed};
use super::sides::{Check, Last, Leave, Side, Sides};
use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, at_prompt};
use crate::host::steps::say;
use crate::judge::crash;
use crate::judge::reply::{number, value};
use crate::lab::{Lab, PATIENCE, view};

pub const CHECKS: &[Check] = &[
    ("Linux's mapper of 64 pages ends", mapper_ends),
    ("Linux's mapper of 64 pages is killed", mapper_is_killed),
    ("Linux's granter of 64 pages ends while we map them", granter_ends),
    ("Linux's granter of 64 pages is killed while we map them", granter_is_killed),
    ("paused while it fills, and Linux is killed meanwhile", paused_while_filling),
    ("paused while it waits, and Linux unmaps meanwhile", paused_while_waiting),
    ("paused while it maps, and Linux is killed meanwhile", paused_while_mapping),
];

pub const LAST: &[Last] = &[
    ("xl destroy while Linux maps our pages", granter_is_destroyed),
    ("xl destroy while we map Linux's pages", mapper_is_destroyed),
    ("a crash with on_crash=destroy clears bytes and sends events", crashed_for_good),
    ("a crash with on_crash=preserve clears bytes and sends events", crashed_and_kept),
];

fn mapper_ends(sides: &mut Sides<'_>) -> Result<()> {
    mapper(sides, Leave::Ends)
}

fn mapper_is_killed(sides: &mut Sides<'_>) -> Result<()> {
    mapper(sides, Leave::Killed)
}

fn granter_ends(sides: &mut Sides<'_>) -> Result<()> {
    granter(sides, Leave::Ends)
}

fn granter_is_killed(sides: &mut Sides<'_>) -> Result<()> {
    granter(sides, Leave::Killed)
}

fn mapper(sides: &mut Sides<'_>, leave: Leave) -> Result<()> {
    let pages = sides.pages(Side::Guest, 64, "", "")?;
    sides.cross(pages, Side::Linux, 42)?;
    let mark = sides.lab.command(GUEST, &format!("wait {} 10000", pages.share))?;
    sides.leave(leave)?;
    let waited = sides.lab.answer(GUEST, mark, PATIENCE)?;
    ensure!(waited.starts_with("ok wait "), "the guest answered: {waited}");
    // Its last writes are there.
    let sum = sides.ask(Side::Guest, &format!("sum {}", pages.share))?;
    ensure!(value(&sum, "crc32")? == CRC_42, "the guest sees: {sum}");
    sides.state(pages.share, "idle*64")?;
    freed(sides, pages.share)?;
    sides.served()
}

fn granter(sides: &mut Sides<'_>, leave: Leave) -> Result<()> {
    let pages = sides.pages(Side::Linux, 64, "", "")?;
    sides.cross(pages, Side::Linux, 42)?;
    sides.leave(leave)?;
    // Linux keeps mapped pages even after the program that shared them has ended: they are ours
    // until we unmap.
    let sum = sides.ask(Side::Guest, &format!("sum {}", pages.map))?;
    ensure!(value(&sum, "crc32")? == CRC_42, "the guest sees: {sum}");
    sides.ask(Side::Guest, &format!("fill {} 9", pages.map))?;
    sides.ask(Side::Guest, &format!("unmap {}", pages.map))?;
    sides.served()
}

fn paused_while_filling(sides: &mut Sides<'_>) -> Result<()> {
    const FILLS: usize = 16;
    let pages = sides.pages(Side::Guest, 1000, "", "")?;
    let mark = sides.lab.said(GUEST).len();
    let lines: String = (1..=FILLS).map(|seed| format!("fill {} {seed}\r", pages.share)).collect();
    sides.lab.type_on(GUEST, lines.as_bytes())?;
    sides.answers(mark, 1)?;
    sides.lab.xl(&["pause", GUEST])?;
    let done = sides.lab.lines_from(GUEST, mark);
    let done = done.iter().filter(|line| line.starts_with("ok fill ")).count();
    ensure!(done < FILLS, "it was paused too late");
    sides.leave(Leave::Killed)?;
    sides.lab.xl(&["unpause", GUEST])?;
    let answers = sides.answers(mark, FILLS)?;
    let sum = sides.ask(Side::Guest, &format!("sum {}", pages.share))?;
    let last = value(&answers[FILLS - 1], "crc32")?;
    ensure!(value(&sum, "crc32")? == last, "the last fill said {last}, then: {sum}");
    sides.wait(pages.share)?;
    freed(sides, pages.share)?;
    sides.served()
}

fn paused_while_waiting(sides: &mut Sides<'_>) -> Result<()> {
    let pages = sides.pages(Side::Guest, 64, "", "")?;
    let mark = sides.lab.command(GUEST, &format!("wait {}", pages.share))?;
    sides.lab.xl(&["pause", GUEST])?;
    sides.ask(Side::Linux, &format!("unmap {}", pages.map))?;
    sides.lab.xl(&["unpause", GUEST])?;
    let waited = sides.lab.answer(GUEST, mark, PATIENCE)?;
    ensure!(waited.starts_with("ok wait "), "the guest answered: {waited}");
    freed(sides, pages.share)?;
    sides.served()
}

fn paused_while_mapping(sides: &mut Sides<'_>) -> Result<()> {
    let channel = sides.channel()?;
    let command = format!("share {} 1 byte=5 event={}", sides.domid, channel.linux);
    let shared = sides.ask(Side::Linux, &command)?;
    let mapped = sides.ask(Side::Guest, &format!("map 0 {}", value(&shared, "refs")?))?;
    let map = number(&mapped, "id")?;
    sides.ask(Side::Guest, &format!("write {map} 5 !"))?;
    sides.lab.xl(&["pause", GUEST])?;
    sides.leave(Leave::Killed)?;
    sides.lab.xl(&["unpause", GUEST])?;
    sides.ask(Side::Guest, &format!("port wait {} 10000", channel.guest))?;
    ensure!(sides.byte(Side::Guest, map, 5)? == "00", "the byte is not cleared");
    sides.ask(Side::Guest, &format!("unmap {map}"))?;
    sides.ask(Side::Guest, &format!("port close {}", channel.guest))?;
    sides.served()
}

/// Destroys the guest, and waits until the toolstack is done with it.
fn destroy(sides: &mut Sides<'_>) -> Result<()> {
    sides.lab.xl(&["destroy", GUEST])?;
    life::gone(sides.lab, GUEST)
}

/// Checks that a new guest can share with a new program, both ways.
fn next_guest(lab: &mut Lab) -> Result<()> {
    lab.forget(GUEST);
    at_prompt(lab, &Settings::none())?;
    let mut sides = Sides::meet(lab)?;
    sides.served()?;
    // All pages that Linux may share: none is left over from the last guest.
    let pages = sides.pages(Side::Linux, 1024, "", "")?;
    sides.part(pages)?;
    sides.close_linux()
}

fn granter_is_destroyed(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    let mut sides = Sides::meet(lab)?;
    let (pages, old) = (sides.pages(Side::Guest, 64, "", "")?, sides.domid);
    sides.cross(pages, Side::Guest, 42)?;
    destroy(&mut sides)?;
    let sum = sides.ask(Side::Linux, &format!("sum {}", pages.map))?;
    ensure!(value(&sum, "crc32")? == CRC_42, "Linux sees: {sum}");
    let kept = view::listed(sides.lab, old)?;
    say(&format!(
        "        Linux reads on; Xen {} the domain until Linux unmaps",
        if kept { "keeps" } else { "does not keep" }
    ));
    sides.ask(Side::Linux, &format!("unmap {}", pages.map))?;
    view::gone(sides.lab, old)?;
    sides.close_linux()?;
    next_guest(lab)
}

fn mapper_is_destroyed(lab: &mut Lab) -> Result<()> {
    at_prompt(lab, &Settings::none())?;
    let mut sides = Sides::meet(lab)?;
    let (pages, old) = (sides.pages(Side::Linux, 64, "", "")?, sides.domid);
    sides.cross(pages, Side::Guest, 42)?;
    destroy(&mut sides)?;
    view::gone(sides.lab, old)?;
    let sum = sides.ask(Side::Linux, &format!("sum {}", pages.share))?;
    ensure!(value(&sum, "crc32")? == CRC_42, "Linux sees: {sum}");
    sides.ask(Side::Linux, &format!("unshare {}", pages.share))?;
    sides.close_linux()?;
    next_guest(lab)
}

fn crashed_for_good(lab: &mut Lab) -> Result<()> {
    crashed(lab, "destroy")
}

fn crashed_and_kept(lab: &mut Lab) -> Result<()> {
    crashed(lab, "preserve")
}

/// Crashes the guest while each side maps pages of the other's, with a byte in each mapping that
/// says that the guest is alive.
fn crashed(lab: &mut Lab, policy: &str) -> Result<()> {
    at_prompt(lab, &Settings::none().on_crash(policy))?;
    let mut sides = Sides::meet(lab)?;
    let old = sides.domid;
    let (for_share, for_map) = (sides.channel()?, sides.channel()?);
    let ours = sides.pages(Side::Guest, 2, "", "")?;
    let linuxs = sides.pages(Side::Linux, 2, "", "")?;
    for (id, byte, port) in [(ours.share, 7, for_share.guest), (linuxs.map, 4100, for_map.guest)] {
        sides.ask(Side::Guest, &format!("write {id} {byte} !"))?;
        sides.ask(Side::Guest, &format!("notify {id} byte={byte} event={port}"))?;
    }
    let seen = [(ours.map, 7), (linuxs.share, 4100)];
    for (id, byte) in seen {
        ensure!(sides.byte(Side::Linux, id, byte)? == "21", "not alive before the crash");
    }
    let mark = sides.lab.command(GUEST, "crash null")?;
    for port in [for_share.linux, for_map.linux] {
        sides.ask(Side::Linux, &format!("port wait {port}"))?;
    }
    for (id, byte) in seen {
        ensure!(sides.byte(Side::Linux, id, byte)? == "00", "alive after the crash");
    }
    life::crashed(sides.lab, GUEST)?;
    crash::dumped("null", &sides.lab.lines_from(GUEST, mark)).map_err(anyhow::Error::msg)?;
    match policy {
        "preserve" => destroy(&mut sides)?,
        _ => life::gone(sides.lab, GUEST)?,
    }
    sides.ask(Side::Linux, &format!("unmap {}", ours.map))?;
    sides.ask(Side::Linux, &format!("unshare {}", linuxs.share))?;
    view::gone(sides.lab, old)?;
    sides.close_linux()?;
    next_guest(lab)
}
