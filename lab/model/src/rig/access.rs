// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses to bytes of shared pages: copies by Xen, loads and stores.

use alloc::vec::Vec;

use drivers::buffer::Buffer;
use drivers::gntdev::{CopyEnd, Segment};
use drivers::shared::{Shared, SharedMut};
use drivers::{Errno, Error, Pages};

use super::{Rig, grants_of};
use crate::Stage;
use crate::reference::{CELLS, DomainId, PAGE, Why, answer, refusal};

impl<S: Stage> Rig<S> {
    /// Copies one byte from or to a granted page.
    pub(super) fn grant_copy(&mut self, id: DomainId, (b, c): (usize, usize), d: usize, e: usize) {
        if self.model.used_memory(id) == self.model.room.memory {
            return;
        }
        let granter = self.places[b % self.places.len()];
        let pages: Vec<_> = self.model.domains[granter].pages.keys().copied().collect();
        let (domid, gref) = match pages.len() {
            0 => (self.domid(c), [8, 512][c % 2]),
            n if c > 8 => (granter as u16, pages[c % n]),
            _ => (self.domid(b), [3, 9, 512, u32::MAX][c % 4]),
        };
        let (to_grant, place) = (d.is_multiple_of(2), d / 2 % CELLS.len());
        // Xen resolves DOMID_SELF for a copy, but not for a map.
        let meant = if domid == 0x7FF0 { id as u16 } else { domid };
        let expected = self.model.xen(id, (meant, gref), to_grant, 0);
        let guest = self.guest(id);
        let device = guest.services.gntdev.open().unwrap();
        let buffer = Buffer::new(&guest.services.system, Pages(1)).unwrap();
        buffer.write(7, &[e as u8]).unwrap();
        let grant = CopyEnd::Grant(grants_of(&[(domid, gref)])[0], CELLS[place] as u16);
        let (source, dest) = if to_grant {
            (CopyEnd::Buffer(&buffer, 7), grant)
        } else {
            (grant, CopyEnd::Buffer(&buffer, 7))
        };
        let mut segment = [Segment::new(source, dest, 1)];
        let got = device.grant_copy(&mut segment);
        let (status, mut byte) = (segment[0].status.0, [0]);
        buffer.read(7, &mut byte).unwrap();
        drop((buffer, device));
        let said = expected.err().map_or(0, Why::status);
        let (carried_out, expected_status, called) = self.model.copy_call(id, said);
        assert_eq!(answer(got), called.map_err(refusal), "grant_copy");
        assert_eq!(status, expected_status, "grant_copy");
        if let Ok(frame) = expected.map_err(drop).and_then(|it| carried_out.then_some(it).ok_or(()))
        {
            let cells = &mut self.model.frames[frame];
            if to_grant {
                cells[place] = e as u8;
            }
            assert_eq!(byte[0], cells[place], "copied bytes");
        }
    }

    /// Reads or writes a byte of the guest's own granted pages.
    pub(super) fn touch_local(&mut self, id: DomainId, a: usize, (b, c): (usize, usize), d: usize) {
        let locals = &self.model.domains[id].locals;
        if locals.is_empty() {
            return;
        }
        let local = locals[a % locals.len()].clone();
        let (page, place) = (b % (local.grefs.len() + 1), c % CELLS.len());
        let addr = local.addr + page * PAGE as usize + CELLS[place];
        let frame = local.grefs.get(page).map(|gref| self.model.domains[id].pages[gref].frame);
        let file = self.file(id, local.file);
        let byte = &mut [d as u8];
        let got = if d.is_multiple_of(2) { file.read(addr, byte) } else { file.write(addr, byte) };
        let frame = frame.filter(|_| d.is_multiple_of(2) || local.writable);
        self.check_touch(frame, place, got, (d, byte[0]));
    }

    /// Reads or writes a byte of a mapped page of a peer's.
    pub(super) fn touch_mapped(
        &mut self,
        id: DomainId,
        a: usize,
        (b, c): (usize, usize),
        d: usize,
    ) {
        let Some((dev, addr, pages)) = self.mapping(id, a) else {
            return;
        };
        let (page, place) = (b as u64 % pages, c % CELLS.len());
        let mut slots = self.model.domains[id].devs[&dev].slots.values();
        let mapped = slots.find_map(|slot| slot.mapped.filter(|mapped| mapped.addr == addr));
        let (start, writable) = mapped.map(|m| (m.start, m.writable)).expect("a mapping");
        let slot = self.model.domains[id].devs[&dev].slots[&(start + page)];
        let frame = slot.mapped.expect("mapped").frame;
        let addr = addr + (page * PAGE) as usize + CELLS[place];
        let file = self.dev(id, dev);
        let byte = &mut [d as u8];
        let got = if d.is_multiple_of(2) { file.read(addr, byte) } else { file.write(addr, byte) };
        let frame = Some(frame).filter(|_| d.is_multiple_of(2) || writable);
        self.check_touch(frame, place, got, (d, byte[0]));
    }

    /// Tries to access a byte of a page that Xen would not unmap, which must fail.
    pub(super) fn touch_stuck(&mut self, id: DomainId, a: usize, (b, c): (usize, usize), d: usize) {
        let Some((dev, index)) = self.stuck_index(id, a) else {
            return;
        };
        let Some(addr) = self.guest(id).addrs.get(&dev).map(|addr| addr + (index * PAGE) as usize)
        else {
            return;
        };
        let (file, at) = (self.dev(id, dev), addr + CELLS[c % CELLS.len()]);
        let byte = &mut [d as u8];
        let got = if b.is_multiple_of(2) { file.read(at, byte) } else { file.write(at, byte) };
        assert_eq!(got, Err(Error::BAD_ADDRESS), "a stuck page");
        // No mapping begins there any more.
        if !self.model.domains[id].devs[&dev].closed {
            let got = self.dev(id, dev).device().and_then(|it| it.get_offset_for_vaddr(addr));
            assert_eq!(got.map_err(|error| error.errno()), Err(Errno::EFAULT), "a stuck page");
        }
        let got = self.dev(id, dev).munmap(addr, PAGE * (1 + b as u64 / 2 % 4));
        assert_eq!(got.map_err(|error| error.errno()), Err(Errno::EINVAL), "a stuck page");
    }

    pub(super) fn check_touch(
        &mut self,
        frame: Option<usize>,
        place: usize,
        got: Result<(), Error>,
        (d, byte): (usize, u8),
    ) {
        let Some(frame) = frame else {
            assert_eq!(got, Err(Error::BAD_ADDRESS));
            return;
        };
        assert_eq!(got, Ok(()));
        let cells = &mut self.model.frames[frame];
        if !d.is_multiple_of(2) {
            cells[place] = d as u8;
        }
        assert_eq!(byte, cells[place], "a byte of a shared page");
    }
}
