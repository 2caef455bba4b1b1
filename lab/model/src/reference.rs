// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reference model: the contract in the simplest code.
//!
//! It searches plain lists and maps from end to end. It has no handles of Xen's, no cache and
//! nothing lazy, except that a parked page may come back at any call that could use it. The rig
//! tells the model what the services chose where they are free to (grefs, indices, addresses), and
//! the model checks it.

mod faults; // refusals injected into Xen
mod granting; // gntalloc
mod mapping; // gntdev
mod stuck; // what Xen would not unmap
mod typed; // the typed API's exports, reservations and mappings
mod xen; // what Xen answers

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use drivers::{Errno, Error};

pub use self::faults::{Fault, Faults};
use self::stuck::Places;
pub use self::xen::{Met, Why};
use crate::stage::Room;

/// The offsets of the bytes of each page that the model tracks.
pub const CELLS: [usize; 4] = [0, 1, 2048, 4095];
pub const PAGE: u64 = 4096;

pub type DomainId = usize;
pub type Gref = u32;
pub type FrameId = usize;

/// The result of a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub errno: Errno,
    /// Xen's status and the gref it's about.
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

/// A granted page, on the granter's side.
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
    /// The offset of the byte to clear: in index space for gntdev, in the page for gntalloc.
    pub byte: Option<u64>,
    pub event: bool,
}

/// One index of a gntdev.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub domid: u16,
    pub gref: Gref,
    /// The reservation that it belongs to.
    pub ticket: usize,
    pub mapped: Option<Mapped>,
    pub stuck: Option<Stuck>,
}

impl Slot {
    /// Returns the frame mapped there, accessible or not, and whether it's writable.
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
    /// Whether its reservation is gone, so that its index becomes free with the unmap.
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
    /// Its place among the service's devices, until it's gone.
    pub place: Option<usize>,
    pub limit: u64,
    /// By index, in pages.
    pub slots: BTreeMap<u64, Slot>,
    pub notifies: BTreeMap<usize, Notify>,
    /// Stuck indices, in the order of the retries.
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
    /// Every page that counts towards the limit, by gref.
    pub pages: BTreeMap<Gref, Page>,
    pub files: BTreeMap<usize, AllocFile>,
    pub locals: Vec<Local>,
    /// By the file's number; closed devices with stuck pages by `CLOSING` + their place.
    pub devs: BTreeMap<usize, Dev>,
    pub places: Places,
    /// Regions that nobody holds any more, the one stuck longest first.
    pub stuck_regions: VecDeque<usize>,
    pub faults: Faults,
    /// Events sent so far.
    pub sent: u64,
}

impl Domain {
    /// Returns every frame that it maps, accessible or not, and whether it's writable.
    pub fn live(&self) -> impl Iterator<Item = (FrameId, bool)> {
        self.devs.values().flat_map(|dev| dev.slots.values()).filter_map(Slot::live)
    }
}

/// Whether the heap refused something in a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacked {
    /// Whether it refused a request.
    pub refused: bool,
    /// Whether the call got as far as retrying stuck pages.
    pub retried: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub room: Room,
    pub domains: Vec<Domain>,
    pub frames: Vec<[u8; CELLS.len()]>,
    pub met: Met,
    /// For the call that is being checked.
    pub lacked: Lacked,
    tickets: usize,
}

/// Returns the number of the cell at an offset in a page, if one is there.
pub fn cell(offset: u64) -> Option<usize> {
    CELLS.iter().position(|cell| *cell as u64 == offset)
}

impl Model {
    pub fn new(room: Room) -> Self {
        let (met, lacked) = (Met::default(), Lacked::default());
        Self { room, domains: Vec::new(), frames: Vec::new(), met, lacked, tickets: 0 }
    }

    /// Whether a call ran out of memory: it returned ENOMEM and changed nothing, except that it may
    /// have retried parked and stuck pages. A call on a closed file never gets that far.
    fn lacks<T>(&mut self, closed: bool, got: &Answer<T>) -> bool {
        let enomem = Some(&refusal(Errno::ENOMEM));
        let lacks = self.lacked.refused && !closed && got.as_ref().err() == enomem;
        self.met.lacked += u64::from(lacks);
        lacks
    }

    /// Returns the parked pages: those that the peer still maps, and those that can be reaped.
    pub fn parked(&self, domain: DomainId) -> (Vec<Gref>, Vec<Gref>) {
        let pages = &self.domains[domain].pages;
        let parked = pages.iter().filter(|(_, page)| !page.listed && page.locals == 0);
        parked.map(|(gref, _)| *gref).partition(|gref| self.is_pinned(domain, *gref))
    }

    /// Records which parked pages came back. None that the peer maps may have.
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

    /// Destroys a domain: its mappings go, and it sends no events.
    pub fn destroy(&mut self, domain: DomainId) {
        self.domains[domain].alive = false;
        self.domains[domain].devs.clear();
        self.domains[domain].stuck_regions.clear();
    }
}
