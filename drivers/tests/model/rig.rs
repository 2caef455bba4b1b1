//! Carries an operation out on the services and on the model, and compares the two.
//!
//! An operation is eight bytes, and every eight bytes are one: which call, by whom, and with what,
//! chosen among what there is at that moment, and now and then among what there is not.

use std::collections::{BTreeMap, BTreeSet};

use drivers::buffer::Buffer;
use drivers::events::Port;
use drivers::fake::{Config, FakeXen, World};
use drivers::gntdev::{CopyEnd, Segment, Usage};
use drivers::ioctl::{GntallocFile, GntdevFile, abi};
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedMut};
use drivers::{
    Access, Call, DomId, Error, ForeignGrant, GrantRef, Hypervisor, Limits, PeerState, PortNumber,
    Services,
};

use super::reference::{
    AllocFile, CELLS, Dev, Domain, DomainId, Gref, MEMORY, Model, PAGE, answer,
};

/// Guests that live at any time.
const GUESTS: usize = 3;
/// Indices of a new gntdev, and pages that a domain may grant at first.
const INDICES: u32 = 12;
const LIMIT: u32 = 24;

/// One operation.
pub type Op = [u8; 8];

/// Carries out `ops` in a new world.
///
/// # Panics
/// If the services and the model differ.
pub fn run(ops: &[Op]) {
    let mut rig = Rig::new();
    for op in ops {
        rig.step(*op);
    }
    rig.finish();
}

struct Guest {
    services: Services<FakeXen>,
    files: BTreeMap<usize, GntallocFile<FakeXen>>,
    devs: BTreeMap<usize, GntdevFile<FakeXen>>,
    /// To the guest in each place.
    ports: [Option<Port<FakeXen>>; GUESTS],
    /// Events sent before anything was asked for.
    sent_before: u64,
}

pub struct Rig {
    world: World,
    model: Model,
    /// By domain number; `None` once it's destroyed.
    guests: Vec<Option<Guest>>,
    /// Which domain is in which place.
    places: [DomainId; GUESTS],
}

fn grants_of(grants: &[(u16, Gref)]) -> Vec<ForeignGrant> {
    let claim = |(domid, gref): &(u16, Gref)| ForeignGrant { domid: *domid, gref: GrantRef(*gref) };
    grants.iter().map(claim).collect()
}

impl Rig {
    pub fn new() -> Self {
        let mut rig = Self {
            world: World::new(),
            model: Model::default(),
            guests: Vec::new(),
            places: [usize::MAX; GUESTS],
        };
        (0..GUESTS).for_each(|place| rig.start(place));
        rig
    }

    /// Starts a new domain in a place.
    fn start(&mut self, place: usize) {
        let id = self.guests.len();
        let config = Config {
            pages: MEMORY as u32,
            max_grant_frames: 1,
            max_maptrack_frames: 1,
            ..Config::default()
        };
        let limits = Limits { gntalloc: LIMIT, gntdev: INDICES };
        let xen = self.world.domain(id as u16, config);
        let services = Services::bring_up(&xen, limits).expect("a guest comes up");
        let mut ports = [const { None }; GUESTS];
        for (other, own) in self.places.into_iter().zip(&mut ports) {
            let Some(Some(peer)) = self.guests.get_mut(other) else {
                continue;
            };
            let port = services.events.alloc_unbound(peer.services.domid).unwrap();
            let bound = peer.services.events.bind_interdomain(services.domid, port.number());
            peer.ports[place] = Some(bound.unwrap());
            *own = Some(port);
        }
        let sent_before = xen.counters().calls(Call::EvtchnSend);
        let (files, devs) = (BTreeMap::new(), BTreeMap::new());
        self.guests.push(Some(Guest { services, files, devs, ports, sent_before }));
        self.places[place] = id;
        let limit = LIMIT as usize;
        self.model.domains.push(Domain { alive: true, limit, ..Domain::default() });
    }

    fn guest(&mut self, id: DomainId) -> &mut Guest {
        self.guests[id].as_mut().expect("alive")
    }

    pub fn step(&mut self, op: Op) {
        let [call, who, a, b, c, d, e, f] = op.map(usize::from);
        let place = who % GUESTS;
        let id = self.places[place];
        match call % 32 {
            0 => self.close_alloc(id, a % 3, b),
            1 => self.close_dev(id, a % 3, b),
            2..=5 => self.alloc_gref(id, a % 3, (b, c, d), f),
            6 => self.dealloc_gref(id, a % 3, (b, c, d), f),
            7 => self.alloc_notify(id, a % 3, (b, c, d), e, f),
            8 | 9 => self.alloc_mmap(id, a % 3, (b, c, d), e),
            10 => self.alloc_munmap(id, a, b),
            11 => {
                let pages = b % 32;
                self.guest(id).services.gntalloc.set_limit(pages as u32);
                self.model.domains[id].limit = pages;
            }
            12 => {
                self.guest(id).services.gntalloc.reap(u32::MAX);
                self.note_reaped(id);
                assert_eq!(self.model.parked(id).1, [], "all that can be reaped is");
            }
            13..=16 => self.map_grant_ref(id, a % 3, (b, c, d), e, f),
            17..=20 => self.mmap(id, a % 3, (b, c, d), e),
            21 => self.munmap(id, a, b),
            22 | 23 => self.unmap_grant_ref(id, a % 3, (b, c), f),
            24 => self.get_offset(id, a % 3, (b, c), f),
            25 => self.set_max_grants(id, a % 3, b),
            26 => self.dev_notify(id, a % 3, (b, c, d), e, f),
            27 => self.grant_copy(id, (b, c), d, e),
            28 | 29 => self.touch_local(id, a, (b, c), d),
            30 => self.touch_mapped(id, a, (b, c), d),
            _ if a % 16 == 0 => {
                self.world.destroy(id as u16);
                self.model.destroy(id);
                self.guests[id] = None;
                self.start(place);
            }
            _ => self.touch_mapped(id, a, (b, c), d),
        }
        self.compare();
    }

    fn file(&mut self, id: DomainId, number: usize) -> &mut GntallocFile<FakeXen> {
        let guest = self.guests[id].as_mut().expect("alive");
        let model = &mut self.model.domains[id];
        guest.files.entry(number).or_insert_with(|| {
            model.files.insert(number, AllocFile { closed: false, next_index: 0 });
            GntallocFile::open(&guest.services.gntalloc).unwrap()
        })
    }

    fn dev(&mut self, id: DomainId, number: usize) -> &mut GntdevFile<FakeXen> {
        let guest = self.guests[id].as_mut().expect("alive");
        let model = &mut self.model.domains[id];
        guest.devs.entry(number).or_insert_with(|| {
            let (slots, notifies) = (BTreeMap::new(), BTreeMap::new());
            let dev = Dev { closed: false, limit: INDICES.into(), slots, notifies };
            model.devs.insert(number, dev);
            GntdevFile::open(&guest.services.xen, &guest.services.gntdev).unwrap()
        })
    }

    fn close_alloc(&mut self, id: DomainId, file: usize, how: usize) {
        if how.is_multiple_of(2) {
            let got = answer(self.file(id, file).close());
            self.model.alloc_close(id, file, got);
        } else if self.guest(id).files.remove(&file).is_some() {
            self.model.drop_file(id, file);
        }
    }

    fn close_dev(&mut self, id: DomainId, dev: usize, how: usize) {
        if how.is_multiple_of(2) {
            let got = answer(self.dev(id, dev).close());
            self.model.dev_close(id, dev, got);
        } else if self.guest(id).devs.remove(&dev).is_some() {
            self.model.drop_dev(id, dev);
        }
    }

    /// A domain's number: mostly one that is there.
    fn domid(&self, pick: usize) -> u16 {
        match pick % 32 {
            0 => 0x7FF0,
            1 => u16::MAX,
            2 => 999,
            _ => self.places[pick % GUESTS] as u16,
        }
    }

    fn alloc_gref(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, d): (usize, usize, usize),
        f: usize,
    ) {
        let (peer, flags, count) = (self.domid(b), [1, 1, 1, 0, 1, 0, 2][c % 7], d % 6);
        let handle = self.file(id, file);
        let mut grefs = vec![GrantRef(0); count];
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.alloc_gref(peer, flags, &mut grefs))
        } else {
            let mut bytes = vec![0; 24.max(16 + 4 * count)];
            bytes[..2].copy_from_slice(&peer.to_ne_bytes());
            bytes[2..4].copy_from_slice(&flags.to_ne_bytes());
            bytes[4..8].copy_from_slice(&(count as u32).to_ne_bytes());
            let got = handle.ioctl(abi::ALLOC_GREF, &mut bytes);
            for (gref, bytes) in grefs.iter_mut().zip(bytes[16..].chunks_exact(4)) {
                gref.0 = u32::from_ne_bytes(bytes.try_into().unwrap());
            }
            got.map(|()| u64::from_ne_bytes(bytes[8..16].try_into().unwrap()))
        };
        let grefs: Vec<_> = grefs.iter().map(|gref| gref.0).collect();
        let got = answer(got).map(|index| (index, grefs.clone()));
        if got.is_ok() {
            assert_eq!(BTreeSet::from_iter(&grefs).len(), count, "a reference was given twice");
        }
        let new = if got.is_ok() { grefs } else { Vec::new() };
        self.model.alloc_gref(id, file, (peer, flags, count as u32), got);
        // Parked pages may have come back, and their references may be those of the new ones.
        self.note_reaped(id);
        assert!(new.iter().all(|gref| self.model.domains[id].pages[gref].listed));
    }

    /// Which parked pages came back, as the service tells.
    fn note_reaped(&mut self, id: DomainId) {
        let mut left = BTreeSet::new();
        self.guest(id).services.gntalloc.for_each(|info| {
            left.insert(info.gref.0);
        });
        self.model.reaped(id, &left);
    }

    /// An index of gntalloc, and a count.
    fn alloc_run(&mut self, id: DomainId, file: usize, b: usize, c: usize) -> (u64, u32) {
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

    fn dealloc_gref(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, _): (usize, usize, usize),
        f: usize,
    ) {
        let (index, count) = self.alloc_run(id, file, b, c);
        let handle = self.file(id, file);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.dealloc_gref(index, count))
        } else {
            handle.ioctl(abi::DEALLOC_GREF, &mut run_arg(index, count))
        };
        self.model.dealloc_gref(id, file, index, count, answer(got));
    }

    /// A port's number: mostly one that is open.
    fn port(&mut self, id: DomainId, pick: usize) -> Option<PortNumber> {
        let port = self.guest(id).ports[pick % GUESTS].as_ref();
        port.filter(|_| !pick.is_multiple_of(7)).map(Port::number)
    }

    fn alloc_notify(
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
        let notify = UnmapNotify { action, port: port.unwrap_or(PortNumber(999)) };
        let handle = self.file(id, file);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.set_unmap_notify(index, notify))
        } else {
            handle.ioctl(abi::SET_UNMAP_NOTIFY, &mut notify_arg(index, notify))
        };
        self.model.alloc_notify(id, file, (index, action, port.is_some()), answer(got));
    }

    fn alloc_mmap(
        &mut self,
        id: DomainId,
        file: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
    ) {
        let (index, count) = self.alloc_run(id, file, b, c % 250);
        let (shared, writable) = (!d.is_multiple_of(8), !e.is_multiple_of(4));
        let (prot, length) = (1 + 2 * u32::from(writable), u64::from(count) * PAGE);
        let got = self.file(id, file).mmap(length, prot, shared.into(), index);
        self.model.alloc_mmap(id, file, (index, count, shared, writable), answer(got));
    }

    fn alloc_munmap(&mut self, id: DomainId, a: usize, b: usize) {
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
        let got = self.file(id, file).munmap(addr, pages as u64 * PAGE);
        self.model.alloc_munmap(id, file, addr, pages, answer(got));
    }

    fn map_grant_ref(
        &mut self,
        id: DomainId,
        dev: usize,
        (b, c, d): (usize, usize, usize),
        e: usize,
        f: usize,
    ) {
        let mut offered = Vec::new();
        for granter in self.places {
            let pages = self.model.domains[granter].pages.iter();
            let ours = pages.filter(|(_, page)| page.peer as usize == id || e.is_multiple_of(16));
            offered.extend(ours.map(|(gref, _)| (granter as u16, *gref)));
        }
        let count = match b {
            0..240 => b % 5,
            // As many references as can be mapped at once, and one more.
            _ => 128 + b % 2,
        };
        let pick = |i: usize| match (c + i, offered.len()) {
            (wild, n) if n == 0 || (d + i).is_multiple_of(24) => {
                (self.domid(wild), [0, 8, 511, 512, u32::MAX][wild % 5])
            }
            (_, n) if count > 5 => offered[c % n],
            (pick, n) => offered[pick % n],
        };
        let grants: Vec<_> = (0..count).map(pick).collect();
        let handle = self.dev(id, dev);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.map_grant_ref(&grants_of(&grants)))
        } else {
            ioctl_map(handle, &grants)
        };
        self.model.map_grant_ref(id, dev, &grants, answer(got));
    }

    /// An index of gntdev, and a count.
    fn dev_run(&mut self, id: DomainId, dev: usize, b: usize, c: usize) -> (u64, u32) {
        let (limit, indices) = match self.model.domains[id].devs.get(&dev) {
            Some(dev) => (dev.limit, dev.slots.keys().copied().collect()),
            None => (0, Vec::new()),
        };
        let index = match (b, indices.len()) {
            (250.., _) | (_, 0) => [u64::MAX, 1, limit * PAGE, (1 << 44) - PAGE, 0, 9][b % 6],
            (_, n) => indices[b % n] * PAGE,
        };
        // Often as much as follows, so that whole reservations are mapped, and long ones.
        let follow = indices.iter().filter(|i| **i >= index / PAGE).count();
        let count = match c {
            252.. => u32::MAX,
            200..252 => follow as u32,
            _ => (c % 5) as u32,
        };
        (index, count)
    }

    fn mmap(&mut self, id: DomainId, dev: usize, (b, c, d): (usize, usize, usize), e: usize) {
        let (index, count) = self.dev_run(id, dev, b, c.min(251));
        let (shared, writable) = (!d.is_multiple_of(8), !e.is_multiple_of(3));
        let (prot, length) = (1 + 2 * u32::from(writable), u64::from(count) * PAGE);
        let got = self.dev(id, dev).mmap(length, prot, shared.into(), index);
        self.model.mmap(id, dev, (index, count, shared, writable), answer(got));
    }

    /// Some mapping of the domain: its device, its address, its pages.
    fn mapping(&self, id: DomainId, pick: usize) -> Option<(usize, usize, u64)> {
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

    fn munmap(&mut self, id: DomainId, a: usize, b: usize) {
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
        let got = self.dev(id, dev).munmap(addr, pages * PAGE);
        self.model.munmap(id, dev, addr, pages, answer(got));
    }

    fn unmap_grant_ref(&mut self, id: DomainId, dev: usize, (b, c): (usize, usize), f: usize) {
        let (index, count) = self.dev_run(id, dev, b, c);
        let handle = self.dev(id, dev);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.unmap_grant_ref(index, count))
        } else {
            handle.ioctl(abi::UNMAP_GRANT_REF, &mut run_arg(index, count))
        };
        self.model.unmap_grant_ref(id, dev, index, count, answer(got));
    }

    fn get_offset(&mut self, id: DomainId, dev: usize, (b, c): (usize, usize), f: usize) {
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
        let handle = self.dev(id, dev);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.get_offset_for_vaddr(addr))
        } else {
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&(addr as u64).to_ne_bytes());
            let got = handle.ioctl(abi::GET_OFFSET_FOR_VADDR, &mut bytes);
            let index = u64::from_ne_bytes(bytes[8..16].try_into().unwrap());
            got.map(|()| (index, u32::from_ne_bytes(bytes[16..20].try_into().unwrap())))
        };
        self.model.get_offset(id, dev, addr, answer(got));
    }

    fn set_max_grants(&mut self, id: DomainId, dev: usize, b: usize) {
        let max = [0, 1, 5, 12, 200, 1 << 18, (1 << 18) + 1, u32::MAX][b % 8];
        let handle = self.dev(id, dev);
        let got = handle.ioctl(abi::SET_MAX_GRANTS, &mut max.to_ne_bytes());
        self.model.set_max_grants(id, dev, max, answer(got));
    }

    fn dev_notify(
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
        let notify = UnmapNotify { action, port: port.unwrap_or(PortNumber(999)) };
        let handle = self.dev(id, dev);
        let got = if f.is_multiple_of(2) {
            handle.handle().and_then(|handle| handle.set_unmap_notify(index, notify))
        } else {
            handle.ioctl(abi::SET_UNMAP_NOTIFY, &mut notify_arg(index, notify))
        };
        self.model.dev_notify(id, dev, (index, action, port.is_some()), answer(got));
    }

    /// Copies one byte from or to some granted page.
    fn grant_copy(&mut self, id: DomainId, (b, c): (usize, usize), d: usize, e: usize) {
        if self.model.used_memory(id) == MEMORY {
            return;
        }
        let granter = self.places[b % GUESTS];
        let pages: Vec<_> = self.model.domains[granter].pages.keys().copied().collect();
        let (domid, gref) = match pages.len() {
            0 => (self.domid(c), [8, 512][c % 2]),
            n if c > 8 => (granter as u16, pages[c % n]),
            _ => (self.domid(b), [3, 9, 512, u32::MAX][c % 4]),
        };
        let (to_grant, place) = (d.is_multiple_of(2), d / 2 % CELLS.len());
        // DOMID_SELF is translated here, and not at a map.
        let meant = if domid == 0x7FF0 { id as u16 } else { domid };
        let expected = self.model.xen(id, (meant, gref), to_grant, (0, 0));
        let guest = self.guest(id);
        let handle = guest.services.gntdev.open().unwrap();
        let buffer = Buffer::new(&guest.services.xen, 1).unwrap();
        buffer.write(7, &[e as u8]).unwrap();
        let grant = CopyEnd::Grant(grants_of(&[(domid, gref)])[0], CELLS[place] as u16);
        let (source, dest) = if to_grant {
            (CopyEnd::Buffer(&buffer, 7), grant)
        } else {
            (grant, CopyEnd::Buffer(&buffer, 7))
        };
        let mut segment = [Segment::new(source, dest, 1)];
        handle.grant_copy(&mut segment).unwrap();
        assert_eq!(segment[0].status.0, expected.err().unwrap_or(0), "grant_copy");
        let mut byte = [0];
        buffer.read(7, &mut byte).unwrap();
        if let Ok(frame) = expected {
            let cells = &mut self.model.frames[frame];
            if to_grant {
                cells[place] = e as u8;
            }
            assert_eq!(byte[0], cells[place], "copied bytes");
        }
    }

    /// Reads or writes a byte of pages of ours.
    fn touch_local(&mut self, id: DomainId, a: usize, (b, c): (usize, usize), d: usize) {
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

    /// Reads or writes a byte of pages of others.
    fn touch_mapped(&mut self, id: DomainId, a: usize, (b, c): (usize, usize), d: usize) {
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

    fn check_touch(
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

    /// Everything that can be seen without changing it.
    fn compare(&mut self) {
        for place in 0..GUESTS {
            let id = self.places[place];
            let (model, guest) = (&self.model.domains[id], self.guests[id].as_ref().unwrap());
            let mut seen = 0;
            guest.services.gntalloc.for_each(|info| {
                seen += 1;
                let page = model.pages.get(&info.gref.0).expect("a page that the model has not");
                let parked = !page.listed && page.locals == 0;
                let access = if page.writable { Access::ReadWrite } else { Access::ReadOnly };
                let state = match self.model.pins(id, info.gref.0) {
                    (0, 0) => PeerState::Idle,
                    (_, 0) => PeerState::MappedRo,
                    _ => PeerState::MappedRw,
                };
                assert_eq!(info.peer, DomId::new(page.peer).unwrap());
                assert_eq!((info.access, info.state, info.parked), (access, state, parked));
            });
            assert_eq!(seen, model.pages.len(), "pages charged");
            assert_eq!(guest.services.table.in_use() as usize, model.pages.len());
            assert_eq!(
                guest.services.xen.counters().calls(Call::EvtchnSend) - guest.sent_before,
                model.sent
            );
            let mut usage = Usage::default();
            for dev in model.devs.values() {
                usage.reserved += dev.slots.len() as u32;
                usage.mapped +=
                    dev.slots.values().filter(|slot| slot.mapped.is_some()).count() as u32;
            }
            assert_eq!(guest.services.gntdev.usage(), usage);
        }
    }

    /// Everything is let go of: nothing is left.
    fn finish(mut self) {
        for id in self.places {
            let guest = self.guests[id].as_mut().expect("alive");
            guest.files.clear();
            guest.devs.clear();
        }
        for id in self.places {
            let guest = self.guests[id].as_ref().expect("alive");
            guest.services.gntalloc.reap(u32::MAX);
            guest.services.xen.assert_clean();
        }
    }
}

fn run_arg(index: u64, count: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&count.to_ne_bytes());
    bytes
}

fn notify_arg(index: u64, notify: UnmapNotify) -> [u8; 16] {
    let mut bytes = run_arg(index, notify.action);
    bytes[12..].copy_from_slice(&notify.port.0.to_ne_bytes());
    bytes
}

fn ioctl_map(file: &GntdevFile<FakeXen>, grants: &[(u16, Gref)]) -> Result<u64, Error> {
    let mut bytes = vec![0; 24.max(16 + 8 * grants.len())];
    bytes[..4].copy_from_slice(&(grants.len() as u32).to_ne_bytes());
    for ((domid, gref), entry) in grants.iter().zip(bytes[16..].chunks_exact_mut(8)) {
        entry[..4].copy_from_slice(&u32::from(*domid).to_ne_bytes());
        entry[4..].copy_from_slice(&gref.to_ne_bytes());
    }
    file.ioctl(abi::MAP_GRANT_REF, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes[8..16].try_into().unwrap()))
}
