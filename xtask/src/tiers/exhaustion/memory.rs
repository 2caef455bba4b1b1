// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest whose memory is used up by what is typed at its prompt, and a peer that maps and unmaps
//! pages of it meanwhile.
//!
//! Each command that wants memory is typed until it is refused as ENOMEM: maps, shares, ports. Then
//! the guest must still answer, let go of a page, and power off; its peer must have noticed
//! nothing.

use anyhow::{Context, Result, bail, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, PLAIN};
use crate::judge::reply::{Reply, number, value};
use crate::lab::{Lab, PATIENCE};

/// The peer's name.
const PEER: &str = "granter";
/// Pages that the peer maps.
const PAGES: u32 = 8;
/// Far more than it takes until nothing is left.
const TRIES: usize = 10_000;

/// The whole check; what was used up, in words.
pub fn check(lab: &mut Lab) -> Result<String> {
    let peer = life::create(lab, PEER, PLAIN, &Settings::none().memory(4))?;
    lab.node(&format!("/local/domain/{peer}/data/grantkit/state"))?;
    let settings = Settings::none().memory(4).extra("gntalloc.limit=65536");
    let settings = settings.number("max_event_channels", 4000);
    let domid = life::at_prompt(lab, &settings)?;
    let shared = lab.ask(GUEST, &format!("share {peer} {PAGES}"))?;
    let filled = lab.ask(GUEST, "fill 1 7")?;
    let map = format!("map {domid} {}", value(&shared, "refs")?);
    let mut peer = Peer { map, crc: value(&filled, "crc32")?.to_owned(), rounds: 0 };
    peer.round(lab)?; // its tables grow the first time
    let before = lab.counts(PEER)?.but_heap();

    let spare = number(&lab.ask(GUEST, &format!("share {domid} 1"))?, "id")?;
    // Pages for itself, which it maps as often as there is memory for; all other pages; and ports,
    // of which Xen gives more than the heap has room for. Xen counts a page's maps up to 127, which
    // the heap has room for: so the first pages are mapped less often than that, and others then.
    let mut own = || -> Result<String> {
        let shared = lab.ask(GUEST, &format!("share {domid} 64"))?;
        Ok(format!("map {domid} {}", value(&shared, "refs")?))
    };
    let (often, map) = (own()?, own()?);
    let [large, small] = [64, 1].map(|pages| format!("share {domid} {pages}"));
    let offer = format!("port offer {domid}");
    let mut used = typed(lab, (&often, 16), 112, &mut peer)?;
    for command in [(&*map, 16), (&large, 8), (&small, 16), (&offer, 64), (&small, 1), (&map, 1)] {
        used += until_refused(lab, command, &mut peer)?;
    }
    let left = lab.ask(GUEST, "status")?;
    let ended = lab.ask(GUEST, &format!("unshare {spare}"))?;
    ensure!(value(&ended, "state")? == "freed", "not freed: {ended}");
    until_refused(lab, (&small, 2), &mut peer)?;

    let mark = lab.said(GUEST).len();
    lab.type_on(GUEST, b"poweroff\r")?;
    life::gone(lab, GUEST).with_context(|| format!("{:?}", lab.lines_from(GUEST, mark)))?;
    ensure!(!lab.crashed(GUEST), "it crashed");
    let after = lab.counts(PEER)?.but_heap();
    after.same(&before)?;
    let (frames, heap) = (number(&left, "frames_free")?, number(&left, "heap_free")?);
    Ok(format!(
        "{used} commands, {frames} frames and {heap} bytes of the heap left; {} rounds of the peer",
        peer.rounds
    ))
}

/// The peer, which maps, reads and unmaps.
struct Peer {
    map: String,
    crc: String,
    rounds: u32,
}

impl Peer {
    fn round(&mut self, lab: &mut Lab) -> Result<()> {
        let mapped = lab.ask(PEER, &self.map)?;
        let id = value(&mapped, "id")?;
        let sum = lab.ask(PEER, &format!("sum {id}"))?;
        ensure!(value(&sum, "crc32")? == self.crc, "the peer sees: {sum}");
        lab.ask(PEER, &format!("unmap {id}"))?;
        self.rounds += 1;
        Ok(())
    }
}

/// Types a command until it is refused for lack of memory, so many at once, and what the peer does
/// meanwhile; how often it was not refused.
fn until_refused(lab: &mut Lab, command: (&str, usize), peer: &mut Peer) -> Result<usize> {
    let done = typed(lab, command, TRIES, peer)?;
    ensure!(done < TRIES, "`{}` is never refused", command.0);
    Ok(done)
}

/// The same, but no more than `most` times.
fn typed(
    lab: &mut Lab,
    (command, at_once): (&str, usize),
    most: usize,
    peer: &mut Peer,
) -> Result<usize> {
    let mut done = 0;
    while done < most {
        let mark = lab.said(GUEST).len();
        lab.type_on(GUEST, format!("{command}\r").repeat(at_once).as_bytes())?;
        peer.round(lab)?;
        let answers = |lab: &Lab| {
            let lines = lab.lines_from(GUEST, mark).into_iter();
            let answers: Vec<_> = lines.filter(|line| Reply::parse(line).is_some()).collect();
            (answers.len() == at_once).then_some(answers)
        };
        let answers = lab.until(PATIENCE, answers).with_context(|| format!("`{command}`"))?;
        let (ok, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|line| line.starts_with("ok "));
        done += ok.len();
        if let Some(other) = refused.iter().find(|line| !line.contains(" errno=ENOMEM ")) {
            bail!("`{command}`: {other}");
        }
        if !refused.is_empty() {
            return Ok(done);
        }
    }
    Ok(done)
}
