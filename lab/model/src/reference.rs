// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reference model: what the contract says, by the plainest means.
//!
//! Lists and maps, searched from end to end; no handle of Xen's, no cache, no lazy anything but
//! parked pages, which may come back at any call that could make use of them. What the services
//! are free to choose (references, indices, addresses) the model is told, and checks.

mod faults; // what Xen is made to refuse
mod granting; // gntalloc
mod mapping; // gntdev
mod stuck; // what Xen would not unmap
mod typed; // exports, reservations and mappings that are values
mod xen; // what Xen answers

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use drivers::{Errno, Error};

pub use self::faults::{Fault, Faults};
use self::stuck::Places;
pub use self::xen::{Met, Why};
use crate::stage::Room;

/// Bytes of each page that the model keeps.
pub const CELLS: [usize; 4] = [0, 1, 2048, 4095];
pub const PAGE: u64 = 4096;

pub type DomainId = usize;
pub type Gref = u32;
pub type FrameId = usize;

/// How a call ended that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub errno: Errno,
    /// Xen's status and the reference.
    pub grant: Option<(i16, Gref)>,
}

pub type Answer<T> = Result<T, Refusal>;

pub fn refusal(errno: Errno) -> Refusal {
    Refusal { errno, grant: None }
}

pub fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map_err(|error| match error {
        Error::Refused { status, gref } => {
            Refusal { errno: error.errno(), grant: Some((status.0, gref.0)) }
        }
        _ => refusal(error.errno()),
    })
}

/// A granted page, at its granter's.
#[derive(Clone, Debug)]
pub struct Page {
    pub peer: u16,
    pub writable: bool,
    pub file: usize,
    pub index: u64,
    pub listed: bool,
    pub locals: usize,
    pub notify: Notify,
    pub frame: FrameId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// The byte to clear: in index space on gntdev, in the page on gntalloc.
    pub byte: Option<u64>,
    pub event: bool,
}

/// One index of a gntdev.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub domid: u16,
    pub gref: Gref,
    /// Which reservation it belongs to.
    pub ticket: usize,
    pub mapped: Option<Mapped>,
    pub stuck: Option<Stuck>,
}

impl Slot {
    /// What is mapped there, accessible or not, and whether writable.
    pub fn live(&self) -> Option<(FrameId, bool)> {
        let mapped = self.mapped.map(|mapped| (mapped.frame, mapped.writable));
        mapped.or(self.stuck.map(|stuck| (stuck.frame, stuck.writable)))
    }
}

/// A page that Xen would not unmap.
#[derive(Clone, Copy, Debug)]
pub struct Stuck {
    pub frame: FrameId,
    pub writable: bool,
    /// Whether its reservation is gone, so that it's free once it's unmapped.
    pub orphan: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    pub start: u64,
    pub count: u64,
    pub addr: usize,
    pub writable: bool,
    pub frame: FrameId,
}

#[derive(Clone, Debug)]
pub struct Dev {
    pub closed: bool,
    /// Its place among the devices of the service, until it's gone.
    pub place: Option<usize>,
    pub limit: u64,
    /// By index, in pages.
    pub slots: BTreeMap<u64, Slot>,
    pub notifies: BTreeMap<usize, Notify>,
    /// Indices that are stuck, in the order in which they are tried again.
    pub stuck: Vec<u64>,
}

/// A local mapping of granted pages.
#[derive(Clone, Debug)]
pub struct Local {
    pub file: usize,
    pub addr: usize,
    pub grefs: Vec<Gref>,
    pub writable: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct AllocFile {
    pub closed: bool,
    pub next_index: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Domain {
    pub alive: bool,
    pub limit: usize,
    /// Every page that is charged, by reference.
    pub pages: BTreeMap<Gref, Page>,
    pub files: BTreeMap<usize, AllocFile>,
    pub locals: Vec<Local>,
    /// By number of their file; those that are closed and not gone, by their place and beyond.
    pub devs: BTreeMap<usize, Dev>,
    pub places: Places,
    /// Regions that nobody holds any more, the longest stuck first.
    pub stuck_regions: VecDeque<usize>,
    pub faults: Faults,
    /// Events sent so far.
    pub sent: u64,
}

impl Domain {
    /// Every page that it maps, accessible or not, and whether writable.
    pub fn live(&self) -> impl Iterator<Item = (FrameId, bool)> {
        self.devs.values().flat_map(|dev| dev.slots.values()).filter_map(Slot::live)
    }
}

/// What the heap refused in a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacked {
    /// Whether it did.
    pub refused: bool,
    /// Whether the call came to trying stuck pages again.
    pub retried: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub room: Room,
    pub domains: Vec<Domain>,
    pub frames: Vec<[u8; CELLS.len()]>,
    pub met: Met,
    /// In the call that is being judged.
    pub lacked: Lacked,
    tickets: usize,
}

/// Which of the cells an offset in a page is.
pub fn cell(offset: u64) -> Option<usize> {
    CELLS.iter().position(|cell| *cell as u64 == offset)
}

impl Model {
    pub fn new(room: Room) -> Self {
        let (met, lacked) = (Met::default(), Lacked::default());
        Self { room, domains: Vec::new(), frames: Vec::new(), met, lacked, tickets: 0 }
    }

    /// Whether a call found no memory: it is ENOMEM then and has changed nothing, but that it may
    /// have tried parked and stuck pages again. A closed file never comes to that.
    fn lacks<T>(&mut self, closed: bool, got: &Answer<T>) -> bool {
        let enomem = Some(&refusal(Errno::ENOMEM));
        let lacks = self.lacked.refused && !closed && got.as_ref().err() == enomem;
        self.met.lacked += u64::from(lacks);
        lacks
    }

    /// Pages that only the peer holds on to, and those that nobody does and that may be reaped.
    pub fn parked(&self, domain: DomainId) -> (Vec<Gref>, Vec<Gref>) {
        let pages = &self.domains[domain].pages;
        let parked = pages.iter().filter(|(_, page)| !page.listed && page.locals == 0);
        parked.map(|(gref, _)| *gref).partition(|gref| self.is_pinned(domain, *gref))
    }

    /// Takes note of which parked pages came back: none that the peer maps.
    pub fn reaped(&mut self, domain: DomainId, left: &BTreeSet<Gref>) {
        for gref in self.parked(domain).1 {
            if !left.contains(&gref) {
                self.domains[domain].pages.remove(&gref);
            }
        }
    }

    pub fn used_memory(&self, domain: DomainId) -> usize {
        self.domains[domain].pages.len()
    }

    /// A domain is destroyed: it maps nothing any more, and tells nobody.
    pub fn destroy(&mut self, domain: DomainId) {
        self.domains[domain].alive = false;
        self.domains[domain].devs.clear();
        self.domains[domain].stuck_regions.clear();
    }
}
