// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile guest, controlled from its console.
//!
//! It does what honest code never does: rewrites grant entries behind the grant table's back,
//! guesses grefs, maps read-only grants writable, sends events without pause, and fills xenstore
//! with nonsense. It needs no more rights than any other guest. Every command ends in a result
//! line, as in the shell. The guest keeps what it holds until it ends.

mod entries;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, ReadOnly, ReadWrite};
use drivers::memory::Platform;
use drivers::xenstore::Permission;
use drivers::{
    Access, DomId, Errno, Error, GrantRef, GrantStatus, Pages, PortNumber, Services, status_name,
};
use embassy_futures::{poll_once, yield_now};

use tasks::pattern::SplitMix64;
use tasks::text;

use crate::false_peer;

/// How often something is done between two checks of the clock.
const BURST: u32 = 256;

/// Obeys the commands typed at the console, for ever.
///
/// `xen` is the raw Xen below the services, for rewriting grant entries. `crash` ends the guest.
pub async fn run<X: Platform>(services: &Services<X>, xen: &X, crash: &dyn Fn()) {
    let mut hostile = Hostile { services, xen, exports: Vec::new(), maps: Vec::new() };
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

/// The guest and what it holds.
struct Hostile<'a, X: Platform> {
    services: &'a Services<X>,
    xen: &'a X,
    exports: Vec<Export<X>>,
    maps: Vec<Mapping<X, ReadWrite>>,
}

impl<X: Platform> Hostile<'_, X> {
    async fn obey(&mut self, line: &[u8]) -> Result<String, Error> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let text =
            |at: usize| words.get(at).and_then(|word| str::from_utf8(word).ok()).unwrap_or("");
        let number = |at: usize| text(at).parse::<u32>().map_err(|_| USAGE);
        let domid = |at: usize| text(at).parse::<DomId>().map_err(|_| USAGE);
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
            "revoke" => Ok(format!("entries={}", entries::revoke(self.xen, &self.exports))),
            "restore" => Ok(format!("entries={}", entries::restore(self.xen, &self.exports))),
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

    /// Maps each gref of a range separately, writable or else read-only.
    fn guess(&self, domid: DomId, range: core::ops::Range<u32>) -> Result<String, Error> {
        let gntdev = self.services.gntdev.open()?;
        let (mut tried, mut mapped) = (0, 0);
        let mut statuses: Vec<(GrantStatus, u32)> = Vec::new();
        for gref in range {
            let claim = [domid.grant(GrantRef(gref))];
            let refused = match gntdev.reserve(&claim)?.map::<ReadWrite>() {
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
        let each =
            |(status, times): &(GrantStatus, u32)| format!("{}*{times}", status_name(*status));
        // Writing to a `String` can't fail.
        let _ = text::list(&mut said, statuses.iter().map(each));
        Ok(said)
    }

    /// Maps a list of grefs at once, and unmaps them.
    fn map<A: MapAccess>(&self, domid: DomId, refs: &str) -> Result<String, Error> {
        let mapping = self.mapping::<A>(domid, refs)?;
        Ok(format!("pages={}", mapping.pages()))
    }

    /// Maps a list of grefs at once, and keeps them mapped.
    fn hold(&mut self, domid: DomId, refs: &str) -> Result<String, Error> {
        self.maps.push(self.mapping(domid, refs)?);
        Ok(format!("maps={}", self.maps.len()))
    }

    /// Maps grefs read-only, and tries to write to them anyway.
    fn probe(&self, domid: DomId, refs: &str) -> Result<String, Error> {
        let stored = self.mapping::<ReadOnly>(domid, refs)?.probe_write(0, 0xee)?;
        Ok(format!("stored={stored}"))
    }

    fn mapping<A: MapAccess>(&self, domid: DomId, refs: &str) -> Result<Mapping<X, A>, Error> {
        let claim =
            |word: &str| word.parse().map(|gref| domid.grant(GrantRef(gref))).map_err(|_| USAGE);
        let claims: Result<Vec<_>, Error> = refs.split(',').map(claim).collect();
        Ok(self.services.gntdev.open()?.reserve(&claims?)?.map()?)
    }

    fn grant(&mut self, domid: DomId, pages: u32) -> Result<String, Error> {
        let export = self.services.gntalloc.open().alloc(domid, Pages(pages), Access::ReadWrite)?;
        let mut said = String::from("refs=");
        let _ = text::list(&mut said, export.grefs());
        self.exports.push(export);
        Ok(said)
    }

    /// Rewrites the fields of its entries over and over, then restores them.
    async fn rewrite(&self, ms: u32) -> Result<String, Error> {
        let system = &self.services.system;
        let (end, mut writes) = (system.now() + u64::from(ms) * 1_000_000, 0_u64);
        let frames = entries::frames(self.xen, &self.exports);
        let mut draw = SplitMix64::new(end);
        while system.now() < end {
            for _ in 0..BURST {
                writes += entries::rewrite(self.xen, &self.exports, &frames, &mut draw);
            }
            yield_now().await;
        }
        entries::set_frames(self.xen, &self.exports, &frames);
        entries::restore(self.xen, &self.exports);
        Ok(format!("writes={writes}"))
    }

    /// Sends events without pause.
    async fn flood(&self, domid: DomId, port: PortNumber, ms: u32) -> Result<String, Error> {
        let xen = &self.services.system;
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

    /// Writes a node of its own, and lets everybody read it if `open`.
    async fn publish(&self, path: &str, value: &[u8], open: bool) -> Result<String, Error> {
        let store = self.services.xenstore.as_ref().ok_or(USAGE)?;
        store.write(path, value).await?;
        if open {
            let all = Permission::read(self.services.domid);
            store.set_permissions(path, &[all]).await?;
        }
        Ok(format!("bytes={}", value.len()))
    }

    /// Makes every watch on the node fire at least `times` times, and on until a key is typed.
    async fn churn(&self, path: &str, times: u32) -> Result<String, Error> {
        let store = self.services.xenstore.as_ref().ok_or(USAGE)?;
        let mut writes = 0;
        while writes < times || poll_once(self.services.console.input(&mut [0])).is_pending() {
            store.write(path, format!("churn {writes}").as_bytes()).await?;
            writes = writes.wrapping_add(1);
        }
        Ok(format!("writes={writes}"))
    }
}

const USAGE: Error = Error::Local(Errno::EINVAL, &"a hostile guest has no such command");
