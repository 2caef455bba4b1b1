// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls on gntalloc.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use drivers::notify::NotifyRequest;
use drivers::{GrantRef, Index, Pages, PortNumber};
use linux::abi::gntalloc;

use super::{Rig, notify_arg, run_arg};
use crate::Stage;
use crate::reference::{CELLS, DomainId, PAGE, answer};

impl<S: Stage> Rig<S> {
    pub(super) fn alloc_gref(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, d): (usize, usize, usize),
        f: usize,
    ) {
        let (peer, flags, count) = (self.domid(b), [1, 1, 1, 0, 1, 0, 2][c % 7], d % 6);
        self.file(id, file);
        let mut grefs = vec![GrantRef(0); count];
        let got = if f.is_multiple_of(2) {
            let got = self.lacking(id, |rig| {
                let device = rig.open_file(id, file).device();
                device.and_then(|it| it.alloc_gref(peer, flags, &mut grefs))
            });
            got.map(|index| index.0)
        } else {
            let mut bytes = vec![0; 24.max(16 + 4 * count)];
            bytes[..2].copy_from_slice(&peer.to_ne_bytes());
            bytes[2..4].copy_from_slice(&flags.to_ne_bytes());
            bytes[4..8].copy_from_slice(&(count as u32).to_ne_bytes());
            let command = gntalloc::IOCTL_GNTALLOC_ALLOC_GREF;
            let got = self.lacking(id, |rig| rig.open_file(id, file).ioctl(command, &mut bytes));
            for (gref, bytes) in grefs.iter_mut().zip(bytes[16..].chunks_exact(4)) {
                gref.0 = u32::from_ne_bytes(bytes.try_into().unwrap());
            }
            got.map(|()| u64::from_ne_bytes(bytes[8..16].try_into().unwrap()))
        };
        let grefs: Vec<_> = grefs.iter().map(|gref| gref.0).collect();
        assert!(got.is_ok() || grefs.iter().all(|gref| *gref == 0), "written by a refused call");
        let got = answer(got).map(|index| (index, grefs.clone()));
        if got.is_ok() {
            assert_eq!(BTreeSet::from_iter(&grefs).len(), count, "a reference was given twice");
        }
        let new = if got.is_ok() { grefs } else { Vec::new() };
        self.model.alloc_gref(id, file, (peer, flags, count as u32), got);
        // Parked pages may have come back, and the new pages may reuse their grefs.
        self.note_reaped(id);
        assert!(new.iter().all(|gref| self.model.domains[id].pages[gref].listed));
    }

    /// Tells the model which parked pages came back, according to the service.
    pub(super) fn note_reaped(&mut self, id: DomainId) {
        let mut left = BTreeSet::new();
        self.guest(id).services.gntalloc.for_each(|info| {
            left.insert(info.gref.0);
        });
        self.model.reaped(id, &left);
    }

    /// Picks an index of gntalloc and a count.
    pub(super) fn alloc_run(
        &mut self,
        id: DomainId,
        file: usize,
        b: usize,
        c: usize,
    ) -> (u64, u32) {
        let pages = self.model.domains[id].pages.values();
        let indices: Vec<_> =
            pages.filter(|page| page.file == file).map(|page| page.index).collect();
        let index = match (b, indices.len()) {
            (250.., _) | (_, 0) => [u64::MAX, 1, u64::MAX - 4095, PAGE * 1000][b % 4],
            (_, n) => indices[b % n] * PAGE,
        };
        let count = if c > 250 { u32::MAX } else { (c % 5) as u32 };
        (index, count)
    }

    pub(super) fn dealloc_gref(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, _): (usize, usize, usize),
        f: usize,
    ) {
        let (index, count) = self.alloc_run(id, file, b, c);
        self.file(id, file);
        let got = self.lacking(id, |rig| {
            let opened = rig.open_file(id, file);
            if f.is_multiple_of(2) {
                opened.device().and_then(|it| it.dealloc_gref(Index(index), Pages(count)))
            } else {
                opened.ioctl(gntalloc::IOCTL_GNTALLOC_DEALLOC_GREF, &mut run_arg(index, count))
            }
        });
        self.model.dealloc_gref(id, file, index, count, answer(got));
    }

    pub(super) fn alloc_notify(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
        f: usize,
    ) {
        let (index, _) = self.alloc_run(id, file, b, 0);
        let index = index.saturating_add(CELLS[c % CELLS.len()] as u64);
        let (action, port) = ((d % 5) as u32, self.port(id, e));
        let request = NotifyRequest { action, port: port.unwrap_or(PortNumber(999)) };
        self.file(id, file);
        let got = self.lacking(id, |rig| {
            let opened = rig.open_file(id, file);
            if f.is_multiple_of(2) {
                opened.device().and_then(|it| it.set_unmap_notify(Index(index), request))
            } else {
                let command = gntalloc::IOCTL_GNTALLOC_SET_UNMAP_NOTIFY;
                opened.ioctl(command, &mut notify_arg(index, request))
            }
        });
        self.model.alloc_notify(id, file, (index, action, port.is_some()), answer(got));
    }

    pub(super) fn alloc_mmap(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
    ) {
        let (index, count) = self.alloc_run(id, file, b, c % 250);
        let (shared, writable) = (!d.is_multiple_of(8), !e.is_multiple_of(4));
        let (prot, length) = (1 + 2 * u32::from(writable), u64::from(count) * PAGE);
        self.file(id, file);
        let map = |rig: &mut Self| rig.open_file(id, file).mmap(length, prot, shared.into(), index);
        let got = self.lacking(id, map);
        self.model.alloc_mmap(id, file, (index, count, shared, writable), answer(got));
    }

    pub(super) fn alloc_munmap(&mut self, id: DomainId, a: usize, b: usize) {
        let locals = &self.model.domains[id].locals;
        if locals.is_empty() {
            return;
        }
        let local = &locals[a % locals.len()];
        let (file, mut addr, mut pages) = (local.file, local.addr, local.grefs.len());
        match b % 16 {
            0 => addr += PAGE as usize,
            1 => pages += 1,
            2 => addr += 1,
            _ => {}
        }
        let unmap = |rig: &mut Self| rig.open_file(id, file).munmap(addr, pages as u64 * PAGE);
        let got = self.lacking(id, unmap);
        self.model.alloc_munmap(id, file, addr, pages, answer(got));
    }
}
