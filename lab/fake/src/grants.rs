// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants on FakeXen: pins, maptrack, and Xen's checks in Xen's order.
//!
//! Source: xen/common/grant_table.c as described in the comments; the statuses were seen on a real
//! Xen 4.17.

use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::vec::Vec;

use xen_sys::grant_table::{
    GNTTAB_NR_RESERVED_ENTRIES, Gntmap, GnttabMapGrantRef, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef, GrantEntryV1, GrantStatus, Gtf,
};
use xen_sys::xen::DOMID_SELF;

use super::WorldState;
use super::domain::{Domain, Mode};
use super::memory::{MachineFrame, Pte};
use drivers::Errno;

/// Mappings in one maptrack frame.
const MAPTRACK_PER_FRAME: u32 = 256;
/// Xen's pin counters have 8 bits per kind, and Xen refuses once the top bit is set.
const MAX_PINS: u32 = 128;

/// A pinned entry: Xen works with this copy, not with the table, until it's unpinned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub(super) gfn: u64,
    domid: u16,
    readers: u32,
    writers: u32,
    /// The entry's flags, if the table was read for this pin.
    seen: Option<u16>,
}

/// One mapping, on the mapper's side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maptrack {
    granter: u16,
    gref: u32,
    readonly: bool,
    /// Xen doesn't keep this; FakeXen does, to check that handle and address belong together.
    host_addr: u64,
    /// The virtual address that `host_addr` stands for.
    addr: usize,
}

impl Domain {
    pub(super) fn is_granted(&self, gref: u32) -> bool {
        let flags = self.pages.entry(gref).flags.load(Ordering::SeqCst);
        Gtf::from_bits_retain(flags) & Gtf::TYPE_MASK == Gtf::PERMIT_ACCESS
    }

    /// Returns the grefs of the live entries that name a frame.
    pub(super) fn entries_naming(&self, gfn: u64) -> Vec<u32> {
        let names = |gref: &u32| {
            self.is_granted(*gref)
                && u64::from(self.pages.entry(*gref).frame.load(Ordering::SeqCst)) == gfn
        };
        (GNTTAB_NR_RESERVED_ENTRIES..self.grant_frames * GrantEntryV1::PER_FRAME)
            .filter(names)
            .collect()
    }

    /// Returns a frame for another domain to access.
    pub(super) fn frame(&mut self, gfn: u64) -> Result<Arc<MachineFrame>, GrantStatus> {
        match self.paged_out.get_mut(&gfn) {
            Some(0) | None => self.frames.get(&gfn).cloned().ok_or(GrantStatus::BAD_PAGE),
            Some(left) => {
                *left -= 1;
                Err(GrantStatus::EAGAIN)
            }
        }
    }

    /// Returns the injected error, if any, for mapping these grant-table frames, from number
    /// `first` on.
    ///
    /// # Panics
    /// If they are not the frames that Xen answered for these numbers.
    pub(super) fn refuse_grant_frames(&mut self, first: u32, frames: &[u64]) -> Option<Errno> {
        let end = first + frames.len() as u32;
        assert!(end <= self.grant_frames, "grant frames mapped that Xen has not set up");
        let expected = (first..end).map(|number| grant_frame(self.config.mode, self.domid, number));
        assert!(expected.eq(frames.iter().copied()), "grant frames that are not this domain's");
        self.grant_frame_refused.take_if(|(number, _)| (first..end).contains(number)).map(|it| it.1)
    }

    fn free_handle(&mut self) -> Option<u32> {
        let max = self.config.max_maptrack_frames * MAPTRACK_PER_FRAME - 1;
        match self.maptrack.iter().position(Option::is_none) {
            Some(free) => Some(free as u32),
            None if (self.maptrack.len() as u32) < max => {
                self.maptrack.push(None);
                Some(self.maptrack.len() as u32 - 1)
            }
            None => None,
        }
    }
}

/// Returns what Xen answers for a frame of a domain's grant table: its machine frame under PV.
/// Under PVH the guest chooses the GFN, and Xen answers that there is none yet.
fn grant_frame(mode: Mode, domid: u16, number: u32) -> u64 {
    match mode {
        Mode::Pv => (u64::from(domid) << 40) + u64::from(number),
        Mode::Pvh => u64::MAX,
    }
}

impl WorldState {
    pub(super) fn query_size(&mut self, domid: u16, op: &mut GnttabQuerySize) {
        assert_eq!(op.dom, DOMID_SELF, "a guest may ask about itself alone");
        let domain = self.domain(domid);
        op.nr_frames = domain.grant_frames.max(1);
        op.max_nr_frames = domain.config.max_grant_frames;
        op.status = GrantStatus::OKAY;
    }

    pub(super) fn setup_table(
        &mut self,
        domid: u16,
        op: &mut GnttabSetupTable,
        frames: &mut [u64],
    ) {
        assert_eq!(op.dom, DOMID_SELF, "a guest may grow its own table alone");
        let domain = self.domain(domid);
        if op.nr_frames > domain.config.max_grant_frames {
            op.status = GrantStatus::GENERAL_ERROR;
            return;
        }
        domain.grant_frames = domain.grant_frames.max(op.nr_frames);
        for (number, frame) in (0..op.nr_frames).zip(frames) {
            *frame = grant_frame(domain.config.mode, domid, number);
        }
        op.status = GrantStatus::OKAY;
    }

    pub(super) fn map(&mut self, mapper: u16, op: &mut GnttabMapGrantRef) -> GrantStatus {
        if !op.flags.intersects(Gntmap::HOST_MAP | Gntmap::DEVICE_MAP) {
            return GrantStatus::BAD_GNTREF;
        }
        let translated = self.domain(mapper).config.mode == Mode::Pvh;
        if translated {
            let others = op.flags - Gntmap::READONLY;
            assert_eq!(others, Gntmap::HOST_MAP, "a PVH guest maps with a flag not for PVH");
        }
        // Xen doesn't resolve DOMID_SELF here.
        let Some(granter) = self.domains.get(&op.dom).filter(|domain| domain.alive) else {
            return GrantStatus::BAD_DOMAIN;
        };
        let entries = granter.grant_frames * GrantEntryV1::PER_FRAME;
        let Some(handle) = self.domain(mapper).free_handle() else {
            return GrantStatus::NO_SPACE;
        };
        if op.ref_ >= entries {
            return GrantStatus::BAD_GNTREF;
        }
        let readonly = op.flags.contains(Gntmap::READONLY);
        let (active, frame, addr) = loop {
            let active = match self.pinnable(mapper, op.dom, op.ref_, readonly) {
                Ok(active) => active,
                Err(status) => return status,
            };
            let frame = match self.domain(op.dom).frame(active.gfn) {
                Ok(frame) => frame,
                Err(status) => return status,
            };
            assert!(
                !translated || op.dom != mapper,
                "PVH guest {mapper} maps a page of its own, which Xen would move away"
            );
            // For a PV mapper, the L1 table must exist.
            let Some(addr) = self.domain(mapper).address_of(op.host_addr, op.flags) else {
                return GrantStatus::GENERAL_ERROR;
            };
            // Retry if the granter has changed the entry since it was read.
            if self.domain(op.dom).pin(op.ref_, active, readonly) {
                break (active, frame, addr);
            }
        };
        let domain = self.domain(mapper);
        let pte = Pte { gfn: active.gfn, frame, writable: !readonly, handle: Some(handle) };
        let over = domain.ptes.insert(addr, pte);
        assert!(over.is_none(), "domain {mapper} mapped over a mapping at {addr:#x}");
        let track =
            Maptrack { granter: op.dom, gref: op.ref_, readonly, host_addr: op.host_addr, addr };
        domain.maptrack[handle as usize] = Some(track);
        op.handle = handle;
        GrantStatus::OKAY
    }

    /// Returns the active entry that a map or a copy would pin, without pinning it.
    pub(super) fn pinnable(
        &mut self,
        mapper: u16,
        granter: u16,
        gref: u32,
        readonly: bool,
    ) -> Result<Active, GrantStatus> {
        let granter = self.domain(granter);
        let known = granter.active.get(&gref).copied();
        if let Some(active) = known {
            let pins = if readonly { active.readers } else { active.writers };
            if active.domid != mapper || pins >= MAX_PINS {
                return Err(GrantStatus::GENERAL_ERROR);
            }
            // Xen reads the table again only for the first writer.
            if readonly || active.writers > 0 {
                return Ok(Active { seen: None, ..active });
            }
        }
        let entry = granter.pages.entry(gref);
        let flags = Gtf::from_bits_retain(entry.flags.load(Ordering::SeqCst));
        let permitted = flags & Gtf::TYPE_MASK == Gtf::PERMIT_ACCESS
            && entry.domid.load(Ordering::SeqCst) == mapper
            && (readonly || !flags.contains(Gtf::READONLY));
        if !permitted {
            return Err(GrantStatus::GENERAL_ERROR);
        }
        let gfn = u64::from(entry.frame.load(Ordering::SeqCst));
        let new = Active { gfn, domid: mapper, readers: 0, writers: 0, seen: None };
        Ok(Active { seen: Some(flags.bits()), ..known.unwrap_or(new) })
    }

    pub(super) fn unmap(&mut self, mapper: u16, op: &mut GnttabUnmapGrantRef) -> GrantStatus {
        let domain = self.domain(mapper);
        let slot = domain.maptrack.get_mut(op.handle as usize);
        let Some((slot, track)) = slot.and_then(|slot| slot.map(|track| (slot, track))) else {
            return GrantStatus::BAD_HANDLE;
        };
        assert_eq!(track.host_addr, op.host_addr, "handle and address don't belong together");
        *slot = None;
        let pte = domain.ptes.remove(&track.addr).expect("a mapping has its entry");
        assert_eq!(pte.handle, Some(op.handle), "the entry is that of another mapping");
        self.unpin(&track);
        GrantStatus::OKAY
    }

    fn unpin(&mut self, track: &Maptrack) {
        let granter = self.domain(track.granter);
        let active = granter.active.get_mut(&track.gref).expect("a mapping pins its entry");
        let pins = if track.readonly { &mut active.readers } else { &mut active.writers };
        *pins -= 1;
        let (writers, pinned) = (active.writers, active.readers + active.writers > 0);
        let flags = &granter.pages.entry(track.gref).flags;
        if writers == 0 {
            flags.fetch_and(!Gtf::WRITING.bits(), Ordering::SeqCst);
        }
        if !pinned {
            flags.fetch_and(!Gtf::READING.bits(), Ordering::SeqCst);
            granter.active.remove(&track.gref);
        }
    }

    /// Does what Xen does for a domain that dies with mappings: drops its pins without notifying
    /// anybody.
    pub(super) fn release_mappings(&mut self, mapper: u16) {
        let domain = self.domain(mapper);
        domain.ptes.retain(|_, pte| pte.handle.is_none());
        let tracks: Vec<_> = domain.maptrack.drain(..).flatten().collect();
        tracks.iter().for_each(|track| self.unpin(track));
    }
}

impl Domain {
    /// Marks an entry and counts the pin. Returns false if the entry has changed since it was read.
    fn pin(&mut self, gref: u32, mut active: Active, readonly: bool) -> bool {
        let mut marks = Gtf::READING;
        if readonly {
            active.readers += 1;
        } else {
            active.writers += 1;
            marks |= Gtf::WRITING;
        }
        let flags = &self.pages.entry(gref).flags;
        let seen = active.seen.unwrap_or_else(|| flags.load(Ordering::SeqCst));
        let marked = seen | marks.bits();
        let order = Ordering::SeqCst;
        if marked != seen && flags.compare_exchange(seen, marked, order, order).is_err() {
            return false;
        }
        self.active.insert(gref, active);
        true
    }
}
