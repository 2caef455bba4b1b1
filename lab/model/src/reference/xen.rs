// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's answer to a map or a copy.

use alloc::collections::BTreeMap;
use core::ops::AddAssign;

use super::{Domain, DomainId, FrameId, Gref, Model};

/// The most mappings of one kind (for reading or for writing) of one gref.
const PINS: usize = 128;

/// Why Xen refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is no such domain.
    Domain,
    /// The gref is beyond the granter's table.
    Reference,
    /// It's not granted, or not to us, or not for writing.
    Grant,
    /// It already has the maximum number of mappings.
    Pins,
    /// The mapper has no mapping left.
    Space,
}

impl Why {
    pub fn status(self) -> i16 {
        match self {
            Self::Domain => -2,
            Self::Reference => -3,
            Self::Grant | Self::Pins => -1,
            Self::Space => -13,
        }
    }
}

/// Counts what the requested maps met, to show that a run has covered every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Pages that were mapped.
    pub mapped: u64,
    /// Pages of a domain that doesn't exist.
    pub bad_domain: u64,
    /// Grefs beyond the granter's table.
    pub bad_gntref: u64,
    /// Grefs that are not granted, not to us, or not for writing.
    pub not_granted: u64,
    /// Grefs that already had the maximum number of mappings.
    pub pinned: u64,
    /// Pages for which no mapping was left.
    pub no_space: u64,
    /// Maps that failed, for whatever reason.
    pub maps_refused: u64,
    /// Unmaps with an injected refusal.
    pub unmaps_refused: u64,
    /// Calls that ran out of memory.
    pub lacked: u64,
}

impl AddAssign for Met {
    fn add_assign(&mut self, other: Self) {
        self.mapped += other.mapped;
        self.bad_domain += other.bad_domain;
        self.bad_gntref += other.bad_gntref;
        self.not_granted += other.not_granted;
        self.pinned += other.pinned;
        self.no_space += other.no_space;
        self.maps_refused += other.maps_refused;
        self.unmaps_refused += other.unmaps_refused;
        self.lacked += other.lacked;
    }
}

impl Met {
    pub(super) fn count(&mut self, verdict: Result<FrameId, Why>) {
        *match verdict {
            Ok(_) => &mut self.mapped,
            Err(Why::Domain) => &mut self.bad_domain,
            Err(Why::Reference) => &mut self.bad_gntref,
            Err(Why::Grant) => &mut self.not_granted,
            Err(Why::Pins) => &mut self.pinned,
            Err(Why::Space) => &mut self.no_space,
        } += 1;
    }
}

impl Model {
    /// Returns how often each mapped frame is mapped, for reading and for writing.
    pub fn pins(&self) -> BTreeMap<FrameId, (usize, usize)> {
        let mut pins = BTreeMap::new();
        for (frame, writable) in self.domains.iter().flat_map(Domain::live) {
            let (readers, writers) = pins.entry(frame).or_insert((0, 0));
            *(if writable { writers } else { readers }) += 1;
        }
        pins
    }

    /// Returns how many pages a domain maps, including stuck ones.
    pub fn handles(&self, domain: DomainId) -> usize {
        self.domains[domain].live().count()
    }

    pub fn is_pinned(&self, granter: DomainId, gref: Gref) -> bool {
        let page = self.domains[granter].pages.get(&gref);
        let mut live = self.domains.iter().flat_map(Domain::live);
        page.is_some_and(|page| live.any(|(frame, _)| frame == page.frame))
    }

    /// Returns Xen's answer to `mapper`'s access to a grant that has `more` pins besides those the
    /// model knows.
    pub fn xen(
        &self,
        mapper: DomainId,
        (domid, gref): (u16, Gref),
        writable: bool,
        more: usize,
    ) -> Result<FrameId, Why> {
        let Some(granter) = self.domains.get(usize::from(domid)).filter(|d| d.alive) else {
            return Err(Why::Domain);
        };
        if gref as usize >= self.room.entries + 8 {
            return Err(Why::Reference);
        }
        let page = granter.pages.get(&gref).ok_or(Why::Grant)?;
        if page.peer as usize != mapper || (writable && !page.writable) {
            return Err(Why::Grant);
        }
        let live = self.domains.iter().flat_map(Domain::live);
        let pins = live.filter(|live| *live == (page.frame, writable)).count();
        if pins + more >= PINS { Err(Why::Pins) } else { Ok(page.frame) }
    }
}
