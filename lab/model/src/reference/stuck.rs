// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that Xen would not unmap: kept, retried, and visible until they are gone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::{Answer, Dev, DomainId, Model, PAGE, Stuck, cell};

/// Devices from this number on are closed, and kept only for their stuck pages.
const CLOSING: usize = 1000;

/// The numbers of a service's devices: the one freed last is reused first, and numbering restarts
/// when no device is left. They determine the order of the retries.
#[derive(Clone, Debug, Default)]
pub struct Places {
    free: Vec<usize>,
    used: usize,
    all: usize,
}

impl Places {
    pub fn take(&mut self) -> usize {
        self.used += 1;
        self.free.pop().unwrap_or_else(|| {
            self.all += 1;
            self.all - 1
        })
    }

    pub fn give(&mut self, place: usize) {
        self.used -= 1;
        self.free.push(place);
        if self.used == 0 {
            *self = Self::default();
        }
    }
}

impl Dev {
    /// Returns an empty device.
    pub fn new(place: usize, limit: u64) -> Self {
        let (slots, notifies) = (BTreeMap::new(), BTreeMap::new());
        Self { closed: false, place: Some(place), limit, slots, notifies, stuck: Vec::new() }
    }

    /// Frees an index. Returns how many events that sends.
    pub fn free(&mut self, index: u64) -> u64 {
        let ticket = self.slots.remove(&index).expect("reserved").ticket;
        if let Some(notify) = self.notifies.get_mut(&ticket) {
            notify.byte.take_if(|byte| *byte / PAGE == index);
        }
        if self.slots.values().any(|slot| slot.ticket == ticket) {
            return 0;
        }
        self.notifies.remove(&ticket).map_or(0, |notify| u64::from(notify.event))
    }

    /// Marks an index as stuck, and its mapping as no longer accessible.
    fn set_stuck(&mut self, index: u64, orphan: bool) {
        let slot = self.slots.get_mut(&index).expect("reserved");
        let (frame, writable) = slot.live().expect("mapped");
        (slot.mapped, slot.stuck) = (None, Some(Stuck { frame, writable, orphan }));
        self.stuck.insert(0, index);
    }
}

impl Model {
    /// Clears the bytes that are due in a run, then unmaps its pages.
    pub fn unmap_run(
        &mut self,
        domain: DomainId,
        dev: usize,
        start: u64,
        count: u64,
    ) -> Answer<()> {
        let run = start..start + count;
        self.clear_bytes(domain, dev, |page| run.contains(&page));
        let slots = &self.domains[domain].devs[&dev].slots;
        let grefs: Vec<_> = slots.range(run.clone()).map(|(_, slot)| slot.gref).collect();
        let (gone, answer) = self.unmap_call(domain, &grefs);
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        for (index, gone) in run.zip(gone) {
            if gone {
                d.slots.get_mut(&index).expect("reserved").mapped = None;
            } else {
                d.set_stuck(index, false);
            }
        }
        answer
    }

    /// Clears the bytes that are due in some pages, which are all still mapped.
    pub(super) fn clear_bytes(&mut self, domain: DomainId, dev: usize, due: impl Fn(u64) -> bool) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        for notify in d.notifies.values_mut() {
            let Some(byte) = notify.byte.take_if(|byte| due(*byte / PAGE)) else {
                continue;
            };
            let live = d.slots[&(byte / PAGE)].live();
            if let (Some((frame, true)), Some(cell)) = (live, cell(byte % PAGE)) {
                self.frames[frame][cell] = 0;
            }
        }
    }

    /// Ends a device that nobody holds any more: unmaps and frees all of it, except what Xen won't
    /// unmap.
    pub fn end_dev(&mut self, domain: DomainId, dev: usize) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        d.closed = true;
        let Some(place) = d.place.take() else {
            return;
        };
        self.clear_bytes(domain, dev, |_| true);
        let slots = &self.domains[domain].devs[&dev].slots;
        let live = slots.iter().filter(|(_, slot)| slot.live().is_some());
        let (live, grefs): (Vec<_>, Vec<_>) = live.map(|(index, slot)| (*index, slot.gref)).unzip();
        let (gone, _) = self.unmap_call(domain, &grefs);
        let left: Vec<_> =
            live.iter().zip(gone).filter(|(_, gone)| !gone).map(|it| *it.0).collect();
        let domain = &mut self.domains[domain];
        let d = domain.devs.get_mut(&dev).expect("a device");
        d.stuck.clear();
        for index in d.slots.keys().copied().collect::<Vec<_>>() {
            if left.contains(&index) {
                d.set_stuck(index, true);
            } else {
                domain.sent += d.free(index);
            }
        }
        if left.is_empty() {
            domain.places.give(place);
            return;
        }
        let mut closing = Dev::new(place, d.limit);
        mem::swap(&mut closing.slots, &mut d.slots);
        mem::swap(&mut closing.notifies, &mut d.notifies);
        mem::swap(&mut closing.stuck, &mut d.stuck);
        domain.devs.insert(CLOSING + place, closing);
    }

    /// Retries the unmap of whatever is stuck in a device.
    pub fn retry_dev(&mut self, domain: DomainId, dev: usize) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        for index in mem::take(&mut d.stuck) {
            let gref = self.domains[domain].devs[&dev].slots[&index].gref;
            let (gone, _) = self.unmap_call(domain, &[gref]);
            let domain = &mut self.domains[domain];
            let d = domain.devs.get_mut(&dev).expect("a device");
            if !gone[0] {
                d.stuck.insert(0, index);
                continue;
            }
            let slot = d.slots.get_mut(&index).expect("reserved");
            if slot.stuck.take().is_some_and(|stuck| stuck.orphan) {
                domain.sent += d.free(index);
            }
        }
    }

    /// Retries whatever is stuck in a domain.
    pub fn retry_all(&mut self, id: DomainId) {
        let domain = id;
        let devs = self.domains[domain].devs.iter();
        let mut places: Vec<_> = devs.filter_map(|(dev, it)| Some((it.place?, *dev))).collect();
        places.sort_unstable();
        places.iter().for_each(|(_, dev)| self.retry_dev(domain, *dev));
        let domain = &mut self.domains[domain];
        let over = |dev: usize, it: &Dev| dev >= CLOSING && it.slots.is_empty();
        for (place, dev) in places {
            if over(dev, &domain.devs[&dev]) {
                domain.devs.remove(&dev);
                domain.places.give(place);
            }
        }
        self.retry_regions(id);
    }
}
