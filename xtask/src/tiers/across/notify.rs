// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks notifications: the side that lets go clears a byte and sends an event, whether it lets go
//! by itself or ends.

use anyhow::{Result, ensure};

use super::data::freed;
use super::sides::{Channel, Check, Leave, Side, Sides};
use crate::judge::reply::{number, value};

/// The offset of the byte to be cleared.
const BYTE: u32 = 77;

pub const CHECKS: &[Check] = &[
    ("Linux unmaps: our byte is cleared, our port rings", linux_unmaps),
    ("Linux's mapper ends: the same", linux_mapper_ends),
    ("Linux's mapper is killed: the same", linux_mapper_is_killed),
    ("we unmap: Linux's byte is cleared, its port rings", we_unmap),
    ("Linux ends its share: the byte that we map is cleared, our port rings", linux_unshares),
    ("Linux's granter ends: the same", linux_granter_ends),
    ("Linux's granter is killed: the same", linux_granter_is_killed),
    ("we end our share: the byte that Linux maps is cleared, its port rings", we_unshare),
];

fn linux_unmaps(sides: &mut Sides<'_>) -> Result<()> {
    linux_mapper(sides, Leave::By("unmap 1"))
}

fn linux_mapper_ends(sides: &mut Sides<'_>) -> Result<()> {
    linux_mapper(sides, Leave::Ends)
}

fn linux_mapper_is_killed(sides: &mut Sides<'_>) -> Result<()> {
    linux_mapper(sides, Leave::Killed)
}

fn linux_unshares(sides: &mut Sides<'_>) -> Result<()> {
    linux_granter(sides, Leave::By("unshare 1"))
}

fn linux_granter_ends(sides: &mut Sides<'_>) -> Result<()> {
    linux_granter(sides, Leave::Ends)
}

fn linux_granter_is_killed(sides: &mut Sides<'_>) -> Result<()> {
    linux_granter(sides, Leave::Killed)
}

/// Checks Linux's notification for its mapping of our page.
fn linux_mapper(sides: &mut Sides<'_>, leave: Leave) -> Result<()> {
    let channel = sides.channel()?;
    let shared = sides.ask(Side::Guest, "share 0 1")?;
    let (share, gref) = (number(&shared, "id")?, value(&shared, "refs")?.to_owned());
    sides.ask(Side::Guest, &format!("write {share} {BYTE} !"))?;
    let command = format!("map {} {gref} byte={BYTE} event={}", sides.domid, channel.linux);
    sides.ask(Side::Linux, &command)?;
    before(sides, Side::Guest, share, channel)?;
    sides.leave(leave)?;
    after_linux(sides, share, channel)?;
    sides.wait(share)?;
    freed(sides, share)
}

/// Checks Linux's notification for its own page, which we map.
fn linux_granter(sides: &mut Sides<'_>, leave: Leave) -> Result<()> {
    let channel = sides.channel()?;
    let command = format!("share {} 1 byte={BYTE} event={}", sides.domid, channel.linux);
    let shared = sides.ask(Side::Linux, &command)?;
    let mapped = sides.ask(Side::Guest, &format!("map 0 {}", value(&shared, "refs")?))?;
    let map = number(&mapped, "id")?;
    sides.ask(Side::Guest, &format!("write {map} {BYTE} !"))?;
    before(sides, Side::Guest, map, channel)?;
    sides.leave(leave)?;
    after_linux(sides, map, channel)?;
    sides.ask(Side::Guest, &format!("unmap {map}"))?;
    sides.served()
}

/// Checks that nothing has happened yet.
fn before(sides: &mut Sides<'_>, side: Side, id: u64, channel: Channel) -> Result<()> {
    let byte = sides.byte(side, id, BYTE)?;
    ensure!(byte == "21", "the byte is {byte} before the end");
    match side {
        Side::Guest => sides.silent(channel),
        Side::Linux => {
            let wait = format!("port wait {} 1", channel.linux);
            sides.refused(Side::Linux, &wait, "ETIMEDOUT").map(drop)
        }
    }
}

/// Checks that Linux has let go: our port rang, the byte was cleared before that, and no other
/// event comes.
fn after_linux(sides: &mut Sides<'_>, id: u64, channel: Channel) -> Result<()> {
    sides.ask(Side::Guest, &format!("port wait {} 10000", channel.guest))?;
    let byte = sides.byte(Side::Guest, id, BYTE)?;
    ensure!(byte == "00", "the byte is {byte} after the event");
    sides.silent(channel)?;
    sides.ask(Side::Guest, &format!("port close {}", channel.guest)).map(drop)
}

fn we_unmap(sides: &mut Sides<'_>) -> Result<()> {
    let channel = sides.channel()?;
    let pages = sides.pages(Side::Linux, 3, "", "")?;
    // In the second page: offsets count from the start of the first.
    let byte = 4096 + BYTE;
    sides.ask(Side::Linux, &format!("write {} {byte} !", pages.share))?;
    let command = format!("notify {} byte={byte} event={}", pages.map, channel.guest);
    sides.ask(Side::Guest, &command)?;
    let wait = format!("port wait {}", channel.linux);
    sides.refused(Side::Linux, &format!("{wait} 1"), "ETIMEDOUT")?;
    ensure!(sides.byte(Side::Linux, pages.share, byte)? == "21", "cleared before the end");
    sides.ask(Side::Guest, &format!("unmap {}", pages.map))?;
    sides.ask(Side::Linux, &wait)?;
    ensure!(sides.byte(Side::Linux, pages.share, byte)? == "00", "not cleared after the event");
    sides.ask(Side::Linux, &format!("unshare {}", pages.share))?;
    sides.ask(Side::Guest, &format!("port close {}", channel.guest)).map(drop)
}

fn we_unshare(sides: &mut Sides<'_>) -> Result<()> {
    let channel = sides.channel()?;
    let pages = sides.pages(Side::Guest, 1, "", "")?;
    sides.ask(Side::Linux, &format!("write {} {BYTE} !", pages.map))?;
    let command = format!("notify {} byte={BYTE} event={}", pages.share, channel.guest);
    sides.ask(Side::Guest, &command)?;
    before(sides, Side::Linux, pages.map, channel)?;
    let ended = sides.ask(Side::Guest, &format!("unshare {}", pages.share))?;
    ensure!(value(&ended, "state")? == "parked", "Linux still maps it, but: {ended}");
    sides.ask(Side::Linux, &format!("port wait {}", channel.linux))?;
    ensure!(sides.byte(Side::Linux, pages.map, BYTE)? == "00", "not cleared after the event");
    sides.ask(Side::Linux, &format!("unmap {}", pages.map))?;
    sides.ask(Side::Guest, &format!("port close {}", channel.guest)).map(drop)
}
