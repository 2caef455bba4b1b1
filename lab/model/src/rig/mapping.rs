// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls on gntdev.

use alloc::vec;
use alloc::vec::Vec;

use drivers::notify::NotifyRequest;
use drivers::{Index, Pages, PortNumber};
use linux::abi::gntdev;

use super::{Rig, grants_of, notify_arg, run_arg};
use crate::Stage;
use crate::reference::{CELLS, DomainId, Gref, PAGE, answer};

impl<S: Stage> Rig<S> {
    pub(super) fn map_grant_ref(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
        f: usize,
    ) {
        let mut offered = Vec::new();
        for &granter in &self.places {
            let pages = self.model.domains[granter].pages.iter();
            let ours = pages.filter(|(_, page)| page.peer as usize == id || e.is_multiple_of(16));
            offered.extend(ours.map(|(gref, _)| (granter as u16, *gref)));
        }
        let count = match b {
            0..208 => b % 5,
            // As many grants as one gref can have mappings, or one more.
            _ => 128 + b % 2,
        };
        // One invalid gref fails a whole run, so long runs rarely have any.
        let is_wild = |i: usize| (d + i).is_multiple_of(24) && (count < 5 || d < 32);
        let pick = |i: usize| match (c + i, offered.len()) {
            (wild, n) if n == 0 || is_wild(i) => {
                (self.domid(wild), [0, 8, 511, 512, u32::MAX][wild % 5])
            }
            (_, n) if count > 5 => offered[c % n],
            (pick, n) => offered[pick % n],
        };
        let grants: Vec<_> = (0..count).map(pick).collect();
        self.dev(id, dev);
        let (claims, mut bytes) = (grants_of(&grants), map_arg(&grants));
        let got = self.lacking(id, |rig| {
            let opened = rig.open_dev(id, dev);
            if f.is_multiple_of(2) {
                return opened.device().and_then(|it| it.map_grant_ref(&claims)).map(|it| it.0);
            }
            opened.ioctl(gntdev::IOCTL_GNTDEV_MAP_GRANT_REF, &mut bytes)?;
            Ok(u64::from_ne_bytes(bytes[8..16].try_into().unwrap()))
        });
        self.model.map_grant_ref(id, dev, &grants, answer(got));
    }

    /// Picks an index of gntdev and a count.
    pub(super) fn dev_run(&mut self, id: DomainId, dev: usize, b: usize, c: usize) -> (u64, u32) {
        let (limit, indices) = match self.model.domains[id].devs.get(&dev) {
            Some(dev) => (dev.limit, dev.slots.keys().copied().collect()),
            None => (0, Vec::new()),
        };
        let index = match (b, indices.len()) {
            (250.., _) | (_, 0) => [u64::MAX, 1, limit * PAGE, (1 << 44) - PAGE, 0, 9][b % 6],
            (_, n) => indices[b % n] * PAGE,
        };
        // Often as many indices as follow in the same state, so that whole reservations get mapped,
        // long ones included.
        let count = match c {
            252.. => u32::MAX,
            128..252 => self.follow(id, dev, index),
            _ => (c % 5) as u32,
        };
        (index, count)
    }

    /// Counts the reserved indices from this one on that are, like it, mapped or not mapped.
    fn follow(&self, id: DomainId, dev: usize, index: u64) -> u32 {
        let slots = self.model.domains[id].devs.get(&dev).map(|dev| &dev.slots);
        let state =
            |i: u64| slots.and_then(|slots| slots.get(&i)).map(|slot| slot.mapped.is_some());
        let first = index / PAGE;
        (0..).take_while(|i| state(first) == state(first + i) && state(first).is_some()).count()
            as u32
    }

    pub(super) fn mmap(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
    ) {
        let (index, count) = self.dev_run(id, dev, b, c.min(251));
        let (shared, writable) = (!d.is_multiple_of(8), !e.is_multiple_of(3));
        let (prot, length) = (1 + 2 * u32::from(writable), u64::from(count) * PAGE);
        self.dev(id, dev);
        let map = |rig: &mut Self| rig.open_dev(id, dev).mmap(length, prot, shared.into(), index);
        let got = self.lacking(id, map);
        if let Ok(addr) = got {
            self.guest(id).addrs.insert(dev, addr - index as usize);
        }
        self.model.mmap(id, dev, (index, count, shared, writable), answer(got));
    }

    /// Picks a mapping of the domain. Returns its device, address and number of pages.
    pub(super) fn mapping(&self, id: DomainId, pick: usize) -> Option<(usize, usize, u64)> {
        let devs = self.model.domains[id].devs.iter();
        let starts = devs.flat_map(|(number, dev)| {
            let first = dev
                .slots
                .iter()
                .filter_map(|(i, slot)| slot.mapped.filter(|mapped| mapped.start == *i));
            first.map(|mapped| (*number, mapped.addr, mapped.count))
        });
        let mappings: Vec<_> = starts.collect();
        (!mappings.is_empty()).then(|| mappings[pick % mappings.len()])
    }

    pub(super) fn munmap(&mut self, id: DomainId, a: usize, b: usize) {
        let Some((dev, mut addr, mut pages)) = self.mapping(id, a) else {
            return;
        };
        match b % 16 {
            0 => addr += PAGE as usize,
            1 => pages += 1,
            2 => pages -= 1,
            3 => addr += 1,
            _ => {}
        }
        let unmap = |rig: &mut Self| rig.open_dev(id, dev).munmap(addr, pages * PAGE);
        let got = self.lacking(id, unmap);
        self.model.munmap(id, dev, addr, pages, answer(got));
    }

    pub(super) fn unmap_grant_ref(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c): (usize, usize),
        f: usize,
    ) {
        let (index, count) = self.dev_run(id, dev, b, c);
        self.dev(id, dev);
        let got = self.lacking(id, |rig| {
            let opened = rig.open_dev(id, dev);
            if f.is_multiple_of(2) {
                opened.device().and_then(|it| it.unmap_grant_ref(Index(index), Pages(count)))
            } else {
                opened.ioctl(gntdev::IOCTL_GNTDEV_UNMAP_GRANT_REF, &mut run_arg(index, count))
            }
        });
        self.model.unmap_grant_ref(id, dev, index, count, answer(got));
    }

    pub(super) fn get_offset(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c): (usize, usize),
        f: usize,
    ) {
        let addr = match self.mapping(id, b) {
            Some((_, addr, pages)) => match c % 8 {
                0 => addr + 1,
                1 => addr + PAGE as usize,
                2 => addr + (pages * PAGE) as usize,
                3 => addr - 1,
                _ => addr,
            },
            None => [0, usize::MAX, 4096][b % 3],
        };
        let opened = self.dev(id, dev);
        let got = if f.is_multiple_of(2) {
            opened
                .device()
                .and_then(|it| it.get_offset_for_vaddr(addr))
                .map(|(index, count)| (index.0, count.0))
        } else {
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&(addr as u64).to_ne_bytes());
            let got = opened.ioctl(gntdev::IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &mut bytes);
            let index = u64::from_ne_bytes(bytes[8..16].try_into().unwrap());
            got.map(|()| (index, u32::from_ne_bytes(bytes[16..20].try_into().unwrap())))
        };
        self.model.get_offset(id, dev, addr, answer(got));
    }

    pub(super) fn set_max_grants(&mut self, id: DomainId, dev: usize, b: usize) {
        let max = [0, 1, 5, 12, 200, self.model.room.indices, (1 << 18) + 1, u32::MAX][b % 8];
        self.dev(id, dev);
        let got = self.lacking(id, |rig| {
            let command = gntdev::IOCTL_GNTDEV_SET_MAX_GRANTS;
            rig.open_dev(id, dev).ioctl(command, &mut max.to_ne_bytes())
        });
        if got.is_ok() {
            self.guest(id).addrs.remove(&dev);
        }
        self.model.set_max_grants(id, dev, max, answer(got));
    }

    pub(super) fn dev_notify(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
        f: usize,
    ) {
        let (index, _) = self.dev_run(id, dev, b, 0);
        let index = index.saturating_add(CELLS[c % CELLS.len()] as u64);
        let (action, port) = ((d % 5) as u32, self.port(id, e));
        let request = NotifyRequest { action, port: port.unwrap_or(PortNumber(999)) };
        self.dev(id, dev);
        let got = self.lacking(id, |rig| {
            let opened = rig.open_dev(id, dev);
            if f.is_multiple_of(2) {
                opened.device().and_then(|it| it.set_unmap_notify(Index(index), request))
            } else {
                let command = gntdev::IOCTL_GNTDEV_SET_UNMAP_NOTIFY;
                opened.ioctl(command, &mut notify_arg(index, request))
            }
        });
        self.model.dev_notify(id, dev, (index, action, port.is_some()), answer(got));
    }
}

/// Returns the argument of MAP_GRANT_REF.
fn map_arg(grants: &[(u16, Gref)]) -> Vec<u8> {
    let mut bytes = vec![0; 24.max(16 + 8 * grants.len())];
    bytes[..4].copy_from_slice(&(grants.len() as u32).to_ne_bytes());
    for ((domid, gref), entry) in grants.iter().zip(bytes[16..].chunks_exact_mut(8)) {
        entry[..4].copy_from_slice(&u32::from(*domid).to_ne_bytes());
        entry[4..].copy_from_slice(&gref.to_ne_bytes());
    }
    bytes
}
