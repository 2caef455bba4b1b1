//! A guest that means harm, told at its console what to do: the other side of every check.
//!
//! What honest code would never do is done here on purpose: grant entries are rewritten behind
//! the grant table's back, references are guessed, read-only grants are mapped writable, events
//! are sent without pause, xenstore is filled with nonsense. It needs no more rights than any
//! guest has. Every command ends in a line, as in the shell; what it holds it holds to its end.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::Ordering;

use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite};
use drivers::memory::Platform;
use drivers::xenstore::Permission;
use drivers::{
    Access, DomId, Errno, Error, ForeignGrant, GrantRef, GrantStatus, PortNumber, Services,
    status_name,
};
use embassy_futures::yield_now;

use crate::false_peer;
use tasks::pattern::SplitMix64;

/// Bits of an entry: its type, and read-only.
const PERMIT_ACCESS: u16 = 1;
const READONLY: u16 = 4;
/// What is done between two looks at the clock.
const BURST: u32 = 256;

/// Obeys what comes over the console, for good.
pub async fn run<X: Platform>(services: &Services<X>, crash: &dyn Fn()) {
    let mut hostile = Hostile { services, exports: Vec::new(), maps: Vec::new() };
    let (mut line, mut byte) = (Vec::new(), [0]);
    services.console.print(b"hostile: ready\n").await;
    loop {
        services.console.input(&mut byte).await;
        if byte != *b"\r" {
            line.push(byte[0]);
            continue;
        }
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let command = words.next().unwrap_or_default().escape_ascii();
        if line == b"crash" {
            crash();
        }
        let said = match hostile.obey(&line).await {
            Ok(said) => format!("ok {command} {said}\n"),
            Err(error) => format!("error {command} errno={} status=- {error}\n", error.errno()),
        };
        services.console.print(said.as_bytes()).await;
        line.clear();
    }
}

/// What it holds.
struct Hostile<'a, X: Platform> {
    services: &'a Services<X>,
    exports: Vec<Export<X>>,
    maps: Vec<Mapping<X, ReadWrite>>,
}

impl<X: Platform> Hostile<'_, X> {
    async fn obey(&mut self, line: &[u8]) -> Result<String, Error> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let text =
            |at: usize| words.get(at).and_then(|word| str::from_utf8(word).ok()).unwrap_or("");
        let number = |at: usize| text(at).parse::<u32>().map_err(|_| USAGE);
        let domid = |at: usize| DomId::new(text(at).parse().map_err(|_| USAGE)?).ok_or(USAGE);
        match text(0) {
            "guess" => self.guess(domid(1)?, number(2)?..number(3)?),
            "map" if text(3) == "ro" => self.map::<ReadOnly>(domid(1)?, text(2)),
            "map" => self.map::<ReadWrite>(domid(1)?, text(2)),
            "hold" => self.hold(domid(1)?, text(2)),
            "drop" => {
                self.maps.clear();
                Ok("maps=0".into())
            }
            "probe" => self.probe(domid(1)?, text(2)),
            "grant" => self.grant(domid(1)?, number(2)?),
            "revoke" => Ok(format!("entries={}", self.each_entry(|_, entry| entry.forget()))),
            "restore" => Ok(format!("entries={}", self.restore())),
            "rewrite" => self.rewrite(number(1)?).await,
            "flood" => self.flood(domid(1)?, PortNumber(number(2)?), number(3)?).await,
            "publish" | "write" => {
                let value = line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
                self.publish(text(1), value, text(0) == "publish").await
            }
            "churn" => self.churn(text(1), number(2)?).await,
            "lure" => false_peer::lure(self.services, text(1)).await,
            "call" => {
                let held = false_peer::call(self.services, domid(1)?, text(2)).await?;
                self.maps.extend(held);
                Ok(format!("how={}", text(2)))
            }
            _ => Err(USAGE),
        }
    }

    /// Maps and copies every reference of a range by itself, either way.
    fn guess(&self, domid: DomId, range: core::ops::Range<u32>) -> Result<String, Error> {
        let gntdev = self.services.gntdev.open()?;
        let (mut tried, mut mapped) = (0, 0);
        let mut statuses: Vec<(GrantStatus, u32)> = Vec::new();
        for gref in range {
            let claim = [ForeignGrant { domid: domid.get(), gref: GrantRef(gref) }];
            let refused = match gntdev.insert(&claim)?.map::<ReadWrite>() {
                Ok(_) => Ok(()),
                Err(failed) => failed.value.map::<ReadOnly>().map(drop),
            };
            tried += 1;
            let Err(refused) = refused else {
                mapped += 1;
                continue;
            };
            let status = refused.value.statuses().next().map(|(_, status)| status);
            let status = status.unwrap_or_default();
            match statuses.iter_mut().find(|(known, _)| *known == status) {
                Some((_, times)) => *times += 1,
                None => statuses.push((status, 1)),
            }
        }
        let mut said = format!("tried={tried} mapped={mapped} statuses=");
        for (place, (status, times)) in statuses.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(said, "{comma}{}*{times}", status_name(*status));
        }
        Ok(said)
    }

    /// Maps a list of references at once, and lets go; how many pages it had.
    fn map<A: MapAccess>(&self, domid: DomId, refs: &str) -> Result<String, Error> {
        let mapping = self.mapping::<A>(domid, refs)?;
        Ok(format!("pages={}", mapping.pages()))
    }

    /// The same, and does not let go.
    fn hold(&mut self, domid: DomId, refs: &str) -> Result<String, Error> {
        self.maps.push(self.mapping(domid, refs)?);
        Ok(format!("maps={}", self.maps.len()))
    }

    /// Maps read-only what may be, and writes all the same.
    fn probe(&self, domid: DomId, refs: &str) -> Result<String, Error> {
        let stored = self.mapping::<ReadOnly>(domid, refs)?.probe_write(0, 0xee)?;
        Ok(format!("stored={stored}"))
    }

    fn mapping<A: MapAccess>(&self, domid: DomId, refs: &str) -> Result<Mapping<X, A>, Error> {
        let gref = |word: &str| Ok(GrantRef(word.parse().map_err(|_| USAGE)?));
        let claim = |gref| ForeignGrant { domid: domid.get(), gref };
        let claims: Result<Vec<_>, Error> =
            refs.split(',').map(|word| gref(word).map(claim)).collect();
        let reserved = self.services.gntdev.open()?.insert(&claims?)?;
        reserved.map().map_err(|failed| failed.error)
    }

    fn grant(&mut self, domid: DomId, pages: u32) -> Result<String, Error> {
        let export = self.services.gntalloc.open()?.alloc(domid, pages, Access::ReadWrite)?;
        let mut said = String::from("refs=");
        for (place, gref) in export.grefs().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(said, "{comma}{gref}");
        }
        self.exports.push(export);
        Ok(said)
    }

    /// Does something with the entry of every page that it granted; how many there are.
    fn each_entry(&self, mut act: impl FnMut(&Export<X>, Entry<'_>)) -> usize {
        let entries = self.services.xen.grant_entries();
        let mut count = 0;
        for export in &self.exports {
            for gref in export.grefs() {
                let entry = &entries[gref.0 as usize];
                act(export, Entry([&entry.flags, &entry.domid], &entry.frame));
                count += 1;
            }
        }
        count
    }

    /// Makes every entry grant again what it did, whatever the peer does with it meanwhile.
    fn restore(&self) -> usize {
        self.each_entry(|export, entry| {
            entry.0[1].store(export.peer().get(), Ordering::Relaxed);
            entry.0[0].store(PERMIT_ACCESS, Ordering::Release);
        })
    }

    /// Rewrites every field of its entries, over and over.
    async fn rewrite(&self, ms: u32) -> Result<String, Error> {
        let xen = &self.services.xen;
        let (end, mut writes) = (xen.now() + u64::from(ms) * 1_000_000, 0_u64);
        let mut frames = Vec::new();
        self.each_entry(|_, entry| frames.push(entry.1.load(Ordering::Relaxed)));
        let mut draw = SplitMix64::new(end);
        while xen.now() < end {
            for _ in 0..BURST {
                let mut at = 0;
                self.each_entry(|export, entry| {
                    let word = draw.next().unwrap_or_default();
                    let [flags, domid] = entry.0;
                    match word % 10 {
                        0 => flags.store(0, Ordering::Relaxed),
                        1 => flags.store(PERMIT_ACCESS | READONLY, Ordering::Relaxed),
                        2 => flags.store((word >> 16) as u16, Ordering::Relaxed),
                        3 => domid.store((word >> 16) as u16, Ordering::Relaxed),
                        4 => entry.1.store((word >> 16) as u32, Ordering::Relaxed),
                        _ => {
                            entry.1.store(frames[at], Ordering::Relaxed);
                            domid.store(export.peer().get(), Ordering::Relaxed);
                            flags.store(PERMIT_ACCESS, Ordering::Relaxed);
                        }
                    }
                    at += 1;
                    writes += 1;
                });
            }
            yield_now().await;
        }
        let mut frames = frames.iter();
        self.each_entry(|_, entry| {
            entry.1.store(frames.next().copied().unwrap_or_default(), Ordering::Relaxed);
        });
        self.restore();
        Ok(format!("writes={writes}"))
    }

    /// Sends events without pause.
    async fn flood(&self, domid: DomId, port: PortNumber, ms: u32) -> Result<String, Error> {
        let xen = &self.services.xen;
        let port = self.services.events.bind_interdomain(domid, port)?;
        let (end, mut sent) = (xen.now() + u64::from(ms) * 1_000_000, 0_u64);
        while xen.now() < end {
            for _ in 0..BURST {
                port.send()?;
                sent += 1;
            }
            yield_now().await;
        }
        Ok(format!("sent={sent}"))
    }

    /// Writes a node of its own, and lets all read it.
    async fn publish(&self, path: &str, value: &[u8], open: bool) -> Result<String, Error> {
        let store = self.services.xenstore.as_ref().ok_or(USAGE)?;
        store.write(path, value).await?;
        if open {
            let all = Permission { domid: self.services.domid, read: true, write: false };
            store.set_permissions(path, &[all]).await?;
        }
        Ok(format!("bytes={}", value.len()))
    }

    /// Makes every watch on the node fire so many times.
    async fn churn(&self, path: &str, times: u32) -> Result<String, Error> {
        let store = self.services.xenstore.as_ref().ok_or(USAGE)?;
        for time in 0..times {
            store.write(path, format!("churn {time}").as_bytes()).await?;
        }
        Ok(format!("writes={times}"))
    }
}

/// An entry's flags and domid, and its frame.
struct Entry<'a>([&'a core::sync::atomic::AtomicU16; 2], &'a core::sync::atomic::AtomicU32);

impl Entry<'_> {
    fn forget(&self) {
        self.0[0].store(0, Ordering::Relaxed);
    }
}

const USAGE: Error = Error::Invalid(Errno::EINVAL, "a hostile guest has no such command");
