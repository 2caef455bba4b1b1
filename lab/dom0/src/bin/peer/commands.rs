// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use dom0::libxen::Libxen;
use dom0::region::Region;
use drivers::shared::{Shared, SharedMut};
use tasks::pattern::{self, SplitMix64};
use tasks::shell::first_word;

use crate::arguments::{Arguments, CommandError, invalid, parse};

/// How long `port wait` waits by default.
const PATIENCE_MS: u64 = 10_000;
/// The most bytes that `read` shows.
const READ: usize = 256;

/// Pages shared or mapped.
#[derive(Debug)]
enum Pages {
    Share(Region),
    Map(Region),
}

impl Pages {
    fn region(&self) -> &Region {
        match self {
            Pages::Share(region) | Pages::Map(region) => region,
        }
    }
}

/// The libraries, and what is shared and mapped, by id.
#[derive(Debug)]
pub struct Peer {
    libxen: Libxen,
    pages: BTreeMap<u64, Pages>,
    ids: u64,
}

impl Peer {
    /// Opens the libraries.
    pub fn open() -> Result<Peer> {
        Ok(Peer { libxen: Libxen::open()?, pages: BTreeMap::new(), ids: 0 })
    }

    /// Closes the libraries.
    pub fn close(self) {
        self.libxen.close();
    }

    /// Carries out a command line. Returns the result line.
    pub fn answer(&mut self, line: &str) -> String {
        let (first, rest) = first_word(line);
        let (command, rest) = match first {
            "port" => {
                let (second, rest) = first_word(rest);
                (format!("port {second}"), rest)
            }
            _ => (first.to_owned(), rest),
        };
        match self.perform(&command, Arguments(rest)) {
            Ok(keys) => format!("ok {command} {keys}"),
            Err(CommandError(errno, words)) => {
                format!("error {command} errno={errno} status=- {words}")
            }
        }
    }

    fn perform(&mut self, command: &str, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        match command {
            "share" => self.share(rest),
            "map" => self.map(rest),
            "read" => self.read(rest),
            "write" => self.write(rest),
            "fill" => self.fill(rest),
            "sum" => self.sum(rest),
            "unmap" | "unshare" => self.release(command, rest),
            "port offer" => Ok(format!("port={}", self.libxen.offer(rest.number()?)?)),
            "port bind" => {
                Ok(format!("port={}", self.libxen.bind(rest.number()?, rest.number()?)?))
            }
            "port send" | "port wait" | "port close" => {
                let port = rest.number()?;
                match command {
                    "port send" => self.libxen.send(port)?,
                    "port close" => self.libxen.close_port(port)?,
                    _ => {
                        let ms = if rest.0.is_empty() { PATIENCE_MS } else { rest.number()? };
                        self.libxen.wait(port, Duration::from_millis(ms))?;
                    }
                }
                Ok(format!("port={port}"))
            }
            _ => Err(CommandError("ENOSYS".into(), "no such command".into())),
        }
    }

    fn share(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let (domid, pages) = (rest.number()?, rest.number()?);
        let (access, notify) = rest.manner()?;
        let (refs, region) = self.libxen.share(domid, pages, access, notify)?;
        let id = self.keep(Pages::Share(region));
        let refs = refs.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        Ok(format!("id={id} domid={domid} pages={pages} access={access} refs={refs}"))
    }

    fn map(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let domid: u32 = rest.number()?;
        let list = rest.word()?.split(',').map(parse);
        let mut refs = list.collect::<Result<Vec<u32>, _>>()?;
        let (access, notify) = rest.manner()?;
        let region = self.libxen.map(domid, &mut refs, access, notify)?;
        let id = self.keep(Pages::Map(region));
        Ok(format!("id={id} domid={domid} pages={} access={access}", refs.len()))
    }

    fn read(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let (id, offset, len) = (rest.number()?, rest.number()?, rest.number()?);
        let mut bytes = [0; READ];
        let bytes = bytes.get_mut(..len).ok_or_else(|| invalid("more than 256 bytes"))?;
        self.get(id)?.read(offset, bytes)?;
        let mut keys = format!("id={id} offset={offset} len={len} hex=");
        for byte in &*bytes {
            let _ = write!(keys, "{byte:02x}"); // writing to a String can't fail
        }
        let text = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        Ok(keys + " text=" + &text.collect::<String>())
    }

    fn write(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let (id, offset, text) = (rest.number()?, rest.number()?, rest.0);
        self.get_writable(id)?.write(offset, text.as_bytes())?;
        Ok(format!("id={id} offset={offset} len={}", text.len()))
    }

    fn fill(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let (id, seed) = (rest.number()?, rest.number()?);
        let pages = self.get(id)?.pages() as usize;
        let mut crc = pattern::crc();
        pattern::fill(self.get_writable(id)?, 0..pages, &mut SplitMix64::new(seed), &mut crc)?;
        Ok(summed(id, self.get(id)?, crc.finalize()))
    }

    fn sum(&mut self, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let id = rest.number()?;
        let (region, mut crc) = (self.get(id)?, pattern::crc());
        pattern::sum(region, 0..region.pages() as usize, &mut crc)?;
        Ok(summed(id, region, crc.finalize()))
    }

    fn release(&mut self, command: &str, mut rest: Arguments<'_>) -> Result<String, CommandError> {
        let id = rest.number()?;
        self.get(id)?;
        let state = match (command, self.pages.remove(&id)) {
            ("unmap", Some(Pages::Map(region))) => {
                self.libxen.unmap(region)?;
                "unmapped"
            }
            ("unshare", Some(Pages::Share(region))) => {
                self.libxen.unshare(region)?;
                "unshared"
            }
            (_, other) => {
                self.pages.extend(other.map(|pages| (id, pages)));
                return Err(CommandError("ENOENT".into(), format!("{id} is of the other kind")));
            }
        };
        Ok(format!("id={id} state={state}"))
    }

    fn keep(&mut self, pages: Pages) -> u64 {
        self.ids += 1;
        self.pages.insert(self.ids, pages);
        self.ids
    }

    fn get(&self, id: u64) -> Result<&Region, CommandError> {
        let pages = self.pages.get(&id).map(Pages::region);
        pages.ok_or_else(|| CommandError("ENOENT".into(), format!("there is no {id}")))
    }

    fn get_writable(&self, id: u64) -> Result<&dyn SharedMut, CommandError> {
        let writable = self.get(id)?.writable();
        writable.ok_or_else(|| CommandError("EACCES".into(), "the map is read-only".into()))
    }
}

fn summed(id: u64, region: &Region, crc: u32) -> String {
    format!("id={id} bytes={} crc32={crc:08x}", region.size())
}
