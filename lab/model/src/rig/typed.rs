// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls on the typed API (exports, reservations and mappings), mixed with the calls by index.

use alloc::vec::Vec;

use drivers::gntalloc::Export;
use drivers::gntdev::{Failed, Mapping, ReadOnly, ReadWrite, Reservation};
use drivers::memory::Platform;
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use drivers::{Access, DomId, Error, Pages};

use super::{INDICES, Rig, grants_of};
use crate::Stage;
use crate::reference::{CELLS, DomainId, PAGE, answer, refusal};

/// The most exports, and the most regions, that a guest holds at a time.
const HELD: usize = 4;

/// A reservation, mapped or not.
pub(super) enum Held<X: Platform> {
    Reserved(Reservation<X>),
    Writable(Mapping<X, ReadWrite>),
    ReadOnly(Mapping<X, ReadOnly>),
}

fn pick<T>(all: &[T], pick: usize) -> Option<usize> {
    (!all.is_empty()).then(|| pick % all.len())
}

impl<S: Stage> Rig<S> {
    pub(super) fn typed(&mut self, id: DomainId, call: usize, args: [usize; 4]) {
        match call {
            0..5 => self.export(id, args),
            5..8 => self.end_export(id, args),
            8 | 9 => self.export_notify(id, args),
            10..14 => self.reserve(id, args),
            14..18 => self.map_region(id, args),
            18 | 19 => self.unmap_region(id, args),
            20 => self.drop_region(id, args),
            21 => self.region_notify(id, args),
            _ => self.touch_typed(id, args),
        }
    }

    fn export(&mut self, id: DomainId, [a, b, c, _]: [usize; 4]) {
        let Some(peer) = DomId::new(self.domid(a)) else {
            return;
        };
        if self.guest(id).exports.len() == HELD {
            return;
        }
        let (count, writable) = (b % 5, !c.is_multiple_of(3));
        let access = if writable { Access::ReadWrite } else { Access::ReadOnly };
        let got = self.lacking(id, |rig| {
            rig.guest(id).services.gntalloc.open().alloc(peer, Pages(count as u32), access)
        });
        let grefs = |export: &Export<S::Xen>| export.grefs().map(|gref| gref.0).collect();
        let told = answer(got.as_ref().map(grefs).map_err(|error| *error));
        let number = self.model.export(id, (peer.get(), writable, count), told);
        self.note_reaped(id);
        if let (Ok(export), Some(number)) = (got, number) {
            assert_eq!((export.peer(), export.access()), (peer, access));
            self.guest(id).exports.push((number, export));
        }
    }

    /// Ends or releases an export.
    fn end_export(&mut self, id: DomainId, [a, b, ..]: [usize; 4]) {
        let Some(at) = pick(&self.guest(id).exports, a) else {
            return;
        };
        let (number, export) = self.guest(id).exports.swap_remove(at);
        if b.is_multiple_of(2) {
            let ended = self.lacking(id, |_| export.end());
            let gone = self.model.end_export(id, number, ended.is_ok());
            if let Err(busy) = ended {
                assert!(!gone && !busy.0.is_idle());
                self.guest(id).exports.push((number, busy.0));
            }
        } else {
            let parked = self.lacking(id, |_| export.release());
            assert_eq!(parked.0 as usize, self.model.drop_export(id, number), "parked");
        }
    }

    /// Picks an unmap notification. Returns it for the call, and its byte and event for the model.
    fn notice(
        &mut self,
        id: DomainId,
        [b, c, d]: [usize; 3],
    ) -> (UnmapNotify, (Option<u64>, bool)) {
        let byte = !b.is_multiple_of(3);
        let byte = byte.then(|| (b % 5) as u64 * PAGE + CELLS[c % CELLS.len()] as u64);
        let place = d / 2 % self.places.len();
        let port = self.guest(id).ports[place].as_ref().filter(|_| d.is_multiple_of(2));
        let notify = match byte {
            Some(byte) => UnmapNotify::clear_byte(byte as usize),
            None => UnmapNotify::NONE,
        };
        let event = port.is_some();
        (port.map_or(notify, |port| notify.and_event(port)), (byte, event))
    }

    fn export_notify(&mut self, id: DomainId, [a, b, c, d]: [usize; 4]) {
        let (notify, told) = self.notice(id, [b, c, d]);
        let Some(at) = pick(&self.guest(id).exports, a) else {
            return;
        };
        let number = self.guest(id).exports[at].0;
        let got = self.lacking(id, |rig| rig.guest(id).exports[at].1.set_notify(notify));
        self.model.export_notify(id, number, told, answer(got));
    }

    fn reserve(&mut self, id: DomainId, [a, b, c, d]: [usize; 4]) {
        if self.guest(id).regions.len() == HELD {
            return;
        }
        let mut offered = Vec::new();
        for &granter in &self.places {
            let pages = self.model.domains[granter].pages.iter();
            let ours = pages.filter(|(_, page)| page.peer as usize == id || d % 16 == 0);
            offered.extend(ours.map(|(gref, _)| (granter as u16, *gref)));
        }
        let grants: Vec<_> = (0..b % 5)
            .map(|i| match offered.len() {
                0 => (self.domid(a), 8 + c as u32),
                _ if (d + i).is_multiple_of(24) => (self.domid(c), [0, 8, 512][i % 3]),
                n => offered[(a + i) % n],
            })
            .collect();
        let guest = self.guest(id);
        if guest.typed.is_none() {
            guest.typed = Some(guest.services.gntdev.open().unwrap());
        }
        let claims = grants_of(&grants);
        let got = self.lacking(id, |rig| {
            rig.guest(id).typed.as_ref().expect("opened before").reserve(&claims)
        });
        let told = answer(got.as_ref().map(drop).map_err(|error| *error));
        let number = self.model.reserve(id, INDICES as usize, &grants, told);
        if let (Ok(reservation), Some(number)) = (got, number) {
            self.guest(id).regions.push((number, Held::Reserved(reservation)));
        }
    }

    /// Takes out one of the held regions, if there is any.
    fn region(&mut self, id: DomainId, a: usize) -> Option<(usize, Held<S::Xen>)> {
        let at = pick(&self.guest(id).regions, a)?;
        Some(self.guest(id).regions.swap_remove(at))
    }

    fn map_region(&mut self, id: DomainId, [a, b, ..]: [usize; 4]) {
        let Some((number, held)) = self.region(id, a) else {
            return;
        };
        let Held::Reserved(reservation) = held else {
            return self.guest(id).regions.push((number, held));
        };
        let writable = !b.is_multiple_of(3);
        let mapped = |it: Failed<_>| (Held::Reserved(it.value), Err(it.error));
        let (held, got) = self.lacking(id, |_| {
            if writable {
                reservation.map().map_or_else(mapped, |it| (Held::Writable(it), Ok(())))
            } else {
                reservation.map().map_or_else(mapped, |it| (Held::ReadOnly(it), Ok(())))
            }
        });
        self.model.map_region(id, number, writable, answer(got));
        self.guest(id).regions.push((number, held));
    }

    fn unmap_region(&mut self, id: DomainId, [a, ..]: [usize; 4]) {
        let Some((number, held)) = self.region(id, a) else {
            return;
        };
        let got = self.lacking(id, |_| match held {
            Held::Reserved(reservation) => Ok((false, reservation)),
            Held::Writable(mapping) => mapping.unmap().map(|it| (true, it)),
            Held::ReadOnly(mapping) => mapping.unmap().map(|it| (true, it)),
        });
        if !matches!(got, Ok((false, _))) {
            let told = answer(got.as_ref().map(drop).map_err(|error| *error));
            self.model.unmap_region(id, number, told);
        }
        if let Ok((_, reservation)) = got {
            self.guest(id).regions.push((number, Held::Reserved(reservation)));
        }
    }

    /// Releases all exports and regions.
    pub(super) fn drop_typed(&mut self, id: DomainId) {
        while !self.guest(id).exports.is_empty() {
            self.end_export(id, [0, 1, 0, 0]);
        }
        while !self.guest(id).regions.is_empty() {
            self.drop_region(id, [0; 4]);
        }
    }

    fn drop_region(&mut self, id: DomainId, [a, ..]: [usize; 4]) {
        if let Some((number, held)) = self.region(id, a) {
            self.lacking(id, |_| drop(held));
            self.model.drop_region(id, number);
        }
    }

    fn region_notify(&mut self, id: DomainId, [a, b, c, d]: [usize; 4]) {
        let (notify, told) = self.notice(id, [b, c, d]);
        let Some((number, mut held)) = self.region(id, a) else {
            return;
        };
        let got = self.lacking(id, |_| match &mut held {
            Held::Reserved(reservation) => reservation.set_notify(notify),
            Held::Writable(mapping) => mapping.set_notify(notify),
            Held::ReadOnly(mapping) => mapping.set_notify(notify),
        });
        self.model.region_notify(id, number, told, answer(got));
        self.guest(id).regions.push((number, held));
    }

    /// Loads or stores a byte of an export or a mapping.
    fn touch_typed(&mut self, id: DomainId, [a, b, c, d]: [usize; 4]) {
        let (page, place, store) = (b % 4, c % CELLS.len(), !d.is_multiple_of(2));
        let (offset, byte) = (page * PAGE as usize + CELLS[place], &mut [d as u8]);
        fn touch(it: &impl SharedMut, at: usize, store: bool, b: &mut [u8]) -> Result<(), Error> {
            if store { it.write(at, b) } else { it.read(at, b) }
        }
        let (frame, got) = if a.is_multiple_of(2) {
            let Some(at) = pick(&self.guest(id).exports, a / 2) else {
                return;
            };
            let (number, export) = &self.guest(id).exports[at];
            let (number, got) = (*number, touch(export, offset, store, byte));
            let gref = self.model.exported(id, number).get(page).copied();
            (gref.map(|gref| self.model.domains[id].pages[&gref].frame), got)
        } else {
            let Some(at) = pick(&self.guest(id).regions, a / 2) else {
                return;
            };
            let (number, held) = &self.guest(id).regions[at];
            let got = match held {
                Held::Reserved(_) => return,
                Held::Writable(mapping) => touch(mapping, offset, store, byte),
                Held::ReadOnly(_) if store => return,
                Held::ReadOnly(mapping) => mapping.read(offset, byte),
            };
            let number = *number;
            let slot = self.model.domains[id].devs[&number].slots.get(&(page as u64));
            (slot.map(|slot| slot.mapped.expect("a mapping").frame), got)
        };
        let Some(frame) = frame else {
            return assert_eq!(answer(got), Err(refusal(drivers::Errno::EINVAL)), "outside");
        };
        self.check_touch(Some(frame), place, got, (d, byte[0]));
    }
}
