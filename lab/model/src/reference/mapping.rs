// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntdev's answers, and what it maps.

use alloc::vec::Vec;

use drivers::Errno;

use super::{Answer, Dev, DomainId, Gref, Mapped, Model, Notify, PAGE, Slot, Stuck, refusal};

impl Model {
    pub fn map_grant_ref(
        &mut self,
        domain: DomainId,
        dev: usize,
        grants: &[(u16, Gref)],
        got: Answer<u64>,
    ) {
        let ticket = self.tickets;
        self.tickets += 1;
        let count = grants.len() as u64;
        let lacks = self.lacks(self.domains[domain].devs[&dev].closed, &got);
        if lacks && !self.lacked.retried {
            return;
        }
        if count > 0 && !self.domains[domain].devs[&dev].closed {
            self.retry_dev(domain, dev);
        }
        if lacks {
            return;
        }
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let is_free = |first: u64| (first..first + count).all(|i| !d.slots.contains_key(&i));
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if count == 0 {
            Err(refusal(Errno::EINVAL))
        } else if !(0..(d.limit + 1).saturating_sub(count)).any(is_free) {
            Err(refusal(Errno::ENOMEM))
        } else {
            Ok(())
        };
        assert_eq!(got.map(drop), expected, "map_grant_ref");
        let Ok(index) = got else {
            return;
        };
        assert_eq!(index % PAGE, 0);
        assert!(is_free(index / PAGE) && index / PAGE + count <= d.limit, "not a free run");
        for (i, (domid, gref)) in grants.iter().enumerate() {
            let slot = Slot { domid: *domid, gref: *gref, ticket, mapped: None, stuck: None };
            d.slots.insert(index / PAGE + i as u64, slot);
        }
    }

    pub fn mmap(
        &mut self,
        domain: DomainId,
        dev: usize,
        (index, count, shared, writable): (u64, u32, bool, bool),
        got: Answer<usize>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let (first, count) = (index / PAGE, u64::from(count));
        let run = first..first.saturating_add(count);
        let refused = if d.closed {
            Some(Errno::EBADF)
        } else if count == 0 || !index.is_multiple_of(PAGE) || run.end > d.limit {
            Some(Errno::ENXIO)
        } else if writable && !shared {
            Some(Errno::EINVAL)
        } else {
            self.retry_dev(domain, dev);
            let d = &self.domains[domain].devs[&dev];
            let reserved = |i| d.slots.get(&i).is_some_and(|slot: &Slot| slot.live().is_none());
            (!run.clone().all(reserved)).then_some(Errno::EINVAL)
        };
        if let Some(errno) = refused {
            return assert_eq!(got.map(drop), Err(refusal(errno)), "gntdev mmap");
        }
        let slots = &self.domains[domain].devs[&dev].slots;
        let grants: Vec<_> = slots.range(run.clone()).map(|(_, s)| (s.domid, s.gref)).collect();
        let (frames, answer) = self.map_all(domain, &grants, writable);
        assert_eq!(got.map(drop), answer, "gntdev mmap");
        let d = self.domains[domain].devs.get_mut(&dev).expect("open");
        for (i, frame) in run.zip(frames) {
            let (Some(frame), slot) = (frame, d.slots.get_mut(&i).expect("reserved")) else {
                continue;
            };
            match got {
                Ok(addr) => {
                    slot.mapped = Some(Mapped { start: first, count, addr, writable, frame });
                }
                Err(_) => {
                    slot.stuck = Some(Stuck { frame, writable, orphan: false });
                    d.stuck.insert(0, i);
                }
            }
        }
    }

    pub fn munmap(
        &mut self,
        domain: DomainId,
        dev: usize,
        addr: usize,
        pages: u64,
        got: Answer<()>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let mut mapped = d.slots.values().filter_map(|slot| slot.mapped);
        let Some(found) = mapped.find(|mapped| mapped.addr == addr && mapped.count == pages) else {
            return assert_eq!(got, Err(refusal(Errno::EINVAL)), "gntdev munmap");
        };
        let expected = self.unmap_run(domain, dev, found.start, found.count);
        assert_eq!(got, expected, "gntdev munmap");
        self.finish_close(domain, dev);
    }

    pub fn unmap_grant_ref(
        &mut self,
        domain: DomainId,
        dev: usize,
        index: u64,
        count: u32,
        got: Answer<()>,
    ) {
        let d = &self.domains[domain].devs[&dev];
        let first = index / PAGE;
        let run = first..first.saturating_add(count.into());
        if !d.closed && count > 0 && index.is_multiple_of(PAGE) && run.end <= u32::MAX.into() {
            self.retry_dev(domain, dev);
        }
        let d = &self.domains[domain].devs[&dev];
        let verdict = |i| match d.slots.get(&i) {
            None => Err(refusal(Errno::EINVAL)),
            Some(slot) if slot.live().is_some() => Err(refusal(Errno::EBUSY)),
            Some(_) => Ok(()),
        };
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if count == 0 {
            Ok(())
        } else if !index.is_multiple_of(PAGE) || run.end > d.limit {
            Err(refusal(Errno::EINVAL))
        } else {
            run.clone().try_for_each(verdict)
        };
        assert_eq!(got, expected, "unmap_grant_ref");
        if got.is_ok() && count > 0 {
            run.for_each(|i| self.free_slot(domain, dev, i));
        }
    }

    /// Frees an index. The last one of a reservation sends its event.
    fn free_slot(&mut self, domain: DomainId, dev: usize, index: u64) {
        let d = &mut self.domains[domain];
        d.sent += d.devs.get_mut(&dev).expect("a device").free(index);
    }

    pub fn get_offset(&self, domain: DomainId, dev: usize, addr: usize, got: Answer<(u64, u32)>) {
        let d = &self.domains[domain];
        let at = |dev: &Dev| {
            let covers = |m: &Mapped| (m.addr..m.addr + (m.count * PAGE) as usize).contains(&addr);
            dev.slots.values().filter_map(|slot| slot.mapped).find(covers)
        };
        let expected = if d.devs[&dev].closed {
            Err(refusal(Errno::EBADF))
        } else if let Some(mapped) = at(&d.devs[&dev]) {
            let offset = (mapped.start * PAGE, mapped.count as u32);
            if mapped.addr == addr { Ok(offset) } else { Err(refusal(Errno::EINVAL)) }
        } else if d.devs.values().any(|dev| at(dev).is_some()) {
            Err(refusal(Errno::EINVAL))
        } else {
            Err(refusal(Errno::EFAULT))
        };
        assert_eq!(got, expected, "get_offset");
    }

    pub fn set_max_grants(&mut self, domain: DomainId, dev: usize, max: u32, got: Answer<()>) {
        if self.lacks(self.domains[domain].devs[&dev].closed, &got) {
            return;
        }
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if !d.slots.is_empty() {
            Err(refusal(Errno::EBUSY))
        } else if max == 0 || max > 1 << 18 {
            Err(refusal(Errno::EINVAL))
        } else {
            Ok(())
        };
        assert_eq!(got, expected, "set_max_grants");
        if got.is_ok() {
            d.limit = max.into();
        }
    }

    pub fn dev_notify(
        &mut self,
        domain: DomainId,
        dev: usize,
        (index, action, port): (u64, u32, bool),
        got: Answer<()>,
    ) {
        if self.lacks(self.domains[domain].devs[&dev].closed, &got) {
            return;
        }
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let slot = d.slots.get(&(index / PAGE));
        let expected = if d.closed {
            Err(refusal(Errno::EBADF))
        } else if action > 3 || (action & 2 != 0 && !port) {
            Err(refusal(Errno::EINVAL))
        } else {
            match slot {
                None => Err(refusal(Errno::ENOENT)),
                Some(slot) if action & 1 != 0 && slot.live().is_some_and(|(_, write)| !write) => {
                    Err(refusal(Errno::EINVAL))
                }
                Some(_) => Ok(()),
            }
        };
        assert_eq!(got, expected, "gntdev notify");
        if let (Ok(()), Some(slot)) = (got, slot) {
            let byte = (action & 1 != 0).then_some(index);
            d.notifies.insert(slot.ticket, Notify { byte, event: action & 2 != 0 });
        }
    }

    pub fn dev_close(&mut self, domain: DomainId, dev: usize, got: Answer<()>) {
        let d = self.domains[domain].devs.get_mut(&dev).expect("a device");
        let expected = if d.closed { Err(refusal(Errno::EBADF)) } else { Ok(()) };
        assert_eq!(got, expected, "gntdev close");
        d.closed = true;
        self.finish_close(domain, dev);
    }

    /// Ends a closed device with its last mapping.
    fn finish_close(&mut self, domain: DomainId, dev: usize) {
        let d = &self.domains[domain].devs[&dev];
        if d.closed && d.slots.values().all(|slot| slot.mapped.is_none()) {
            self.end_dev(domain, dev);
        }
    }

    /// Ends a file as the end of its process does: its mappings go, and it's closed.
    pub fn drop_dev(&mut self, domain: DomainId, dev: usize) {
        self.end_dev(domain, dev);
        self.domains[domain].devs.remove(&dev);
    }
}
