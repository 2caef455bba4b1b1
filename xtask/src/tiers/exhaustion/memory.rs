// SPDX-License-Identifier: MIT OR Apache-2.0
//! Uses up a guest's memory by commands at its prompt, while a peer maps and unmaps its pages.
//!
//! Each command that needs memory (maps, shares, ports) is typed until it is refused with ENOMEM.
//! Then the guest must still answer, free a page, and power off, and its peer must not have noticed
//! anything.

use anyhow::{Context, Result, bail, ensure};

use crate::guests::config::Settings;
use crate::guests::life::{self, GUEST, PLAIN};
use crate::judge::reply::{Reply, number, value};
use crate::lab::{Lab, PATIENCE};

/// The peer's name.
const PEER: &str = "granter";
/// The number of pages that the peer maps.
const PAGES: u32 = 8;
/// Far more tries than are needed to use everything up.
const TRIES: usize = 10_000;

/// Runs the check, and returns what was used up, in words.
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
    // Uses up memory with pages that the guest shares with itself and maps as often as there is
    // memory for, with all other pages, and with ports, of which Xen allows more than the heap has
    // room for. Xen counts up to 127 maps of a page, for which the heap has room: so the first
    // pages are mapped less often than that, and then others.
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

/// The peer, which maps, reads and unmaps the guest's pages.
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

/// Types a command repeatedly, so many at once, until it is refused for lack of memory, while the
/// peer does its rounds. Returns how often it succeeded.
fn until_refused(lab: &mut Lab, command: (&str, usize), peer: &mut Peer) -> Result<usize> {
    let done = typed(lab, command, TRIES, peer)?;
    ensure!(done < TRIES, "`{}` is never refused", command.0);
    Ok(done)
}

/// Like [`until_refused`], but stops after about `most` successes.
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
