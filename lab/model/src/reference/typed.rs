// SPDX-License-Identifier: MIT OR Apache-2.0
//! The typed API's answers. Each export is modelled as the pages of a file of its own, each region
//! as a device with one reservation.

use alloc::vec::Vec;
use core::mem;

use drivers::Errno;

use super::{
    Answer, CELLS, Dev, DomainId, Gref, Mapped, Model, Notify, PAGE, Page, Slot, Stuck, refusal,
};

/// Files from this number on are exports, and devices are regions.
pub const TYPED: usize = 1_000_000;

impl Model {
    /// Exports pages with one call. Returns the export's number.
    pub fn export(
        &mut self,
        domain: DomainId,
        (peer, writable, count): (u16, bool, usize),
        got: Answer<Vec<Gref>>,
    ) -> Option<usize> {
        if self.lacks(false, &got) {
            return None;
        }
        let expected =
            if count == 0 { Err(refusal(Errno::EINVAL)) } else { self.admit(domain, count) };
        assert_eq!(got.as_ref().map(drop), expected.as_ref().map(drop), "export");
        let file = self.next_typed();
        for (index, gref) in (0..).zip(got.ok()?) {
            self.frames.push([0; CELLS.len()]);
            let (frame, notify) = (self.frames.len() - 1, Notify::default());
            let page = Page { peer, writable, file, index, listed: true, locals: 0, notify, frame };
            self.domains[domain].pages.insert(gref, page);
        }
        Some(file)
    }

    fn next_typed(&mut self) -> usize {
        self.tickets += 1;
        TYPED + self.tickets
    }

    /// Returns the grefs of an export, in page order.
    pub fn exported(&self, domain: DomainId, file: usize) -> Vec<Gref> {
        let pages = self.domains[domain].pages.iter();
        let ours = pages.filter(|(_, page)| page.file == file && page.listed);
        let mut ours: Vec<_> = ours.map(|(gref, page)| (page.index, *gref)).collect();
        ours.sort_unstable();
        ours.into_iter().map(|(_, gref)| gref).collect()
    }

    /// Ends an export as a whole, with its notifications; or not at all, and leaves it unchanged.
    /// Returns whether it is gone.
    pub fn end_export(&mut self, domain: DomainId, file: usize, ended: bool) -> bool {
        let grefs = self.exported(domain, file);
        let idle = !grefs.iter().any(|gref| self.is_pinned(domain, *gref));
        assert_eq!(ended, idle, "end");
        if idle {
            grefs.iter().for_each(|gref| self.unlist(domain, *gref));
        }
        idle
    }

    /// Drops an export. Returns how many of its pages are then parked.
    pub fn drop_export(&mut self, domain: DomainId, file: usize) -> usize {
        let grefs = self.exported(domain, file);
        grefs.iter().for_each(|gref| self.unlist(domain, *gref));
        grefs.iter().filter(|gref| self.domains[domain].pages.contains_key(gref)).count()
    }

    /// Sets the one unmap notification of an export.
    pub fn export_notify(
        &mut self,
        domain: DomainId,
        file: usize,
        (byte, event): (Option<u64>, bool),
        got: Answer<()>,
    ) {
        let grefs = self.exported(domain, file);
        if self.lacks(false, &got) {
            return;
        }
        let at = byte.unwrap_or(0);
        let inside = at / PAGE < grefs.len() as u64;
        let expected = if inside { Ok(()) } else { Err(refusal(Errno::EINVAL)) };
        assert_eq!(got, expected, "notice of an export");
        for (index, gref) in (0..).zip(grefs).filter(|_| inside) {
            let ours = index == at / PAGE;
            let byte = byte.filter(|_| ours).map(|byte| byte % PAGE);
            let page = self.domains[domain].pages.get_mut(&gref).expect("exported");
            page.notify = Notify { byte, event: event && ours };
        }
    }

    /// Makes a reservation. Returns its number.
    pub fn reserve(
        &mut self,
        domain: DomainId,
        limit: usize,
        grants: &[(u16, Gref)],
        got: Answer<()>,
    ) -> Option<usize> {
        if grants.is_empty() {
            assert_eq!(got, Err(refusal(Errno::EINVAL)), "reserve");
            return None;
        }
        self.retry_regions(domain);
        if self.lacks(false, &got) {
            return None;
        }
        let regions = self.domains[domain].devs.range(TYPED..);
        let reserved = regions.map(|(_, region)| region.slots.len()).sum::<usize>();
        let fits = reserved + grants.len() <= limit;
        let expected = if fits { Ok(()) } else { Err(refusal(Errno::ENOMEM)) };
        assert_eq!(got, expected, "reserve");
        got.ok()?;
        let (number, mut region) = (self.next_typed(), Dev::new(0, 0));
        region.place = None;
        for (index, (domid, gref)) in (0..).zip(grants) {
            let (domid, gref) = (*domid, *gref);
            let slot = Slot { domid, gref, ticket: 0, mapped: None, stuck: None };
            region.slots.insert(index, slot);
        }
        self.domains[domain].devs.insert(number, region);
        Some(number)
    }

    fn region(&mut self, domain: DomainId, region: usize) -> &mut Dev {
        self.domains[domain].devs.get_mut(&region).expect("a region")
    }

    pub fn map_region(&mut self, domain: DomainId, region: usize, writable: bool, got: Answer<()>) {
        self.retry_regions(domain);
        // What an earlier map left behind is unmapped first.
        let cleared = self.unmap_whole(domain, region);
        if cleared.is_err() {
            return assert_eq!(got, cleared, "map of what is mapped in part");
        }
        let slots = &self.domains[domain].devs[&region].slots;
        let grants: Vec<_> = slots.values().map(|slot| (slot.domid, slot.gref)).collect();
        let (frames, answer) = self.map_all(domain, &grants, writable);
        assert_eq!(got, answer, "map of a region");
        let slots = self.region(domain, region).slots.values_mut();
        for (slot, frame) in slots.zip(frames).filter_map(|(slot, it)| Some((slot, it?))) {
            if got.is_ok() {
                // At no index, so that no call by index finds it.
                let (start, count, addr) = (u64::MAX, 0, 0);
                slot.mapped = Some(Mapped { start, count, addr, writable, frame });
            } else {
                slot.stuck = Some(Stuck { frame, writable, orphan: false });
            }
        }
    }

    /// Returns `None` if a region isn't mapped, else whether it may be written.
    pub fn region_access(&self, domain: DomainId, region: usize) -> Option<bool> {
        let mut slots = self.domains[domain].devs[&region].slots.values();
        slots.next()?.mapped.map(|mapped| mapped.writable)
    }

    /// Makes one unmap call for what is live in a region. Its byte is cleared first if all of it
    /// was mapped.
    fn unmap_whole(&mut self, domain: DomainId, region: usize) -> Answer<()> {
        if self.region_access(domain, region).is_some() {
            self.clear_bytes(domain, region, |_| true);
        }
        let slots = self.domains[domain].devs[&region].slots.values();
        let live: Vec<_> = slots.filter(|slot| slot.live().is_some()).map(|it| it.gref).collect();
        let (gone, answer) = self.unmap_call(domain, &live);
        let slots = self.region(domain, region).slots.values_mut();
        for (slot, gone) in slots.filter(|slot| slot.live().is_some()).zip(gone) {
            let (frame, writable) = slot.live().expect("live");
            slot.mapped = None;
            slot.stuck = (!gone).then_some(Stuck { frame, writable, orphan: false });
        }
        answer
    }

    /// Unmaps a mapping. Returns whether its reservation is left.
    pub fn unmap_region(&mut self, domain: DomainId, region: usize, got: Answer<()>) -> bool {
        let expected = self.unmap_whole(domain, region);
        assert_eq!(got, expected, "unmap of a region");
        if got.is_err() {
            self.drop_region(domain, region);
        }
        got.is_ok()
    }

    /// Ends a region that nobody holds any more. It is kept until Xen unmaps it.
    pub fn drop_region(&mut self, domain: DomainId, region: usize) {
        let _ = self.unmap_whole(domain, region);
        let d = &mut self.domains[domain];
        if d.devs[&region].slots.values().any(|slot| slot.live().is_some()) {
            return d.stuck_regions.push_back(region);
        }
        let gone = d.devs.remove(&region).expect("a region");
        d.sent += gone.notifies.values().map(|notify| u64::from(notify.event)).sum::<u64>();
    }

    /// Retries the stuck regions, the one stuck longest first.
    pub fn retry_regions(&mut self, domain: DomainId) {
        for region in mem::take(&mut self.domains[domain].stuck_regions) {
            self.drop_region(domain, region);
        }
    }

    pub fn region_notify(
        &mut self,
        domain: DomainId,
        region: usize,
        (byte, event): (Option<u64>, bool),
        got: Answer<()>,
    ) {
        if self.lacks(false, &got) {
            return;
        }
        let pages = self.domains[domain].devs[&region].slots.len() as u64;
        let outside = byte.is_some_and(|byte| byte / PAGE >= pages);
        let read_only = byte.is_some() && self.region_access(domain, region) == Some(false);
        let refused = outside || read_only;
        let expected = if refused { Err(refusal(Errno::EINVAL)) } else { Ok(()) };
        assert_eq!(got, expected, "notice of a region");
        if got.is_ok() {
            self.region(domain, region).notifies.insert(0, Notify { byte, event });
        }
    }
}
