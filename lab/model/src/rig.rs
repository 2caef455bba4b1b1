// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries an operation out on the services and on the model, and compares the two.
//!
//! An operation is eight bytes, and any eight bytes are a valid operation. They choose the call,
//! the caller and the arguments, mostly among the values that exist at that moment and sometimes
//! among invalid ones. Three quarters of the possible first bytes are calls by index, so that old
//! sequences keep their meaning.

mod access; // bytes of shared pages: copied, loaded and stored
mod granting; // gntalloc
mod mapping; // gntdev
mod refusals; // refusals injected into Xen
mod shortage; // refusals injected into the heap
mod typed; // calls on the typed devices

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Device, Usage};
use drivers::notify::NotifyRequest;
use drivers::{Access, Call, ClaimedDomId, ClaimedGrant, Limits, PeerState, PortNumber, Services};
use linux::ioctl::{GntallocFile, GntdevFile};

use self::typed::Held;
use crate::Stage;
use crate::reference::{AllocFile, Dev, Domain, DomainId, Gref, Lacked, Met, Model, Slot, answer};

/// A new gntdev's number of indices, and how many pages a domain may grant at first.
const INDICES: u32 = 12;
const LIMIT: u32 = 24;
/// gntdevs from this number on have room for more mappings than Xen allows of one gref, and in all.
const ROOMY: usize = 1;
const MANY: u32 = 400;

/// The most files of a kind that a guest has open at a time.
const FILES: usize = 3;
/// First bytes from this one on are not calls by index.
const OTHERS: usize = 192;

/// One operation.
pub type Op = [u8; 8];

/// Carries out `ops` on a stage, calling `before` with the number of each operation, counted from
/// 0. Returns what the maps met.
///
/// # Panics
/// If the services and the model differ, or if something is left at the end.
pub fn run<S: Stage>(stage: S, ops: &[Op], mut before: impl FnMut(usize)) -> Met {
    let mut rig = Rig::new(stage);
    for (number, op) in ops.iter().enumerate() {
        before(number);
        rig.step(*op);
    }
    rig.finish()
}

struct Guest<S: Stage> {
    services: Services<S::Xen>,
    files: BTreeMap<usize, GntallocFile<S::Xen>>,
    devs: BTreeMap<usize, GntdevFile<S::Xen>>,
    /// With their numbers in the model.
    exports: Vec<(usize, Export<S::Xen>)>,
    regions: Vec<(usize, Held<S::Xen>)>,
    /// The device that regions are reserved in, once there was one.
    typed: Option<Device<S::Xen>>,
    /// The address at which each gntdev's index space begins, if a mapping has shown it.
    addrs: BTreeMap<usize, usize>,
    /// Ports to the guest in each place.
    ports: Vec<Option<Port<S::Xen>>>,
    /// The other end of a port to the guest itself.
    bell: Option<Port<S::Xen>>,
    /// The number of events sent before the first operation.
    sent_before: u64,
}

struct Rig<S: Stage> {
    stage: S,
    model: Model,
    /// By domid; `None` for a domid that was never started, or is destroyed.
    guests: Vec<Option<Guest<S>>>,
    /// The domain in each place.
    places: Vec<DomainId>,
    /// Which heap request of the next call to refuse, counted from 0.
    short: Option<u32>,
}

fn grants_of(grants: &[(u16, Gref)]) -> Vec<ClaimedGrant> {
    grants.iter().map(|(domid, gref)| ClaimedGrant::new(*domid, *gref)).collect()
}

impl<S: Stage> Rig<S> {
    fn new(stage: S) -> Self {
        let model = Model::new(stage.room());
        let mut rig = Self { stage, model, guests: Vec::new(), places: Vec::new(), short: None };
        (0..rig.stage.guests()).for_each(|place| rig.start(place));
        rig
    }

    /// Starts a new domain in a place, which is vacant or the next one.
    fn start(&mut self, place: usize) {
        let services = self.stage.start(Limits { gntalloc: LIMIT, gntdev: INDICES });
        let id = DomainId::from(services.domid.get());
        let mut ports = Vec::new();
        ports.resize_with(self.stage.guests(), || None);
        let mut bell = None;
        if ports.len() == 1 {
            let port = services.events.alloc_unbound(services.domid).unwrap();
            bell = Some(services.events.bind_interdomain(services.domid, port.number()).unwrap());
            ports[0] = Some(port);
        }
        for (other, own) in self.places.iter().zip(&mut ports) {
            let Some(Some(peer)) = self.guests.get_mut(*other) else {
                continue;
            };
            let port = services.events.alloc_unbound(peer.services.domid).unwrap();
            let bound = peer.services.events.bind_interdomain(services.domid, port.number());
            peer.ports[place] = Some(bound.unwrap());
            *own = Some(port);
        }
        let sent_before = services.system.counters().calls(Call::EvtchnSend);
        let (files, devs, addrs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        // Lower domids that were never started stay unused.
        self.guests.resize_with(id, || None);
        self.model.domains.resize_with(id, Domain::default);
        let (exports, regions, typed) = (Vec::new(), Vec::new(), None);
        self.guests.push(Some(Guest {
            services,
            files,
            devs,
            exports,
            regions,
            typed,
            addrs,
            ports,
            bell,
            sent_before,
        }));
        let limit = LIMIT as usize;
        self.model.domains.push(Domain { alive: true, limit, ..Domain::default() });
        match self.places.get_mut(place) {
            Some(place) => *place = id,
            None => self.places.push(id),
        }
    }

    fn other(&mut self, id: DomainId, call: usize, args: [usize; 4]) {
        let [a, b, c, d] = args;
        match call {
            0..8 => self.refuse(id, args),
            8 | 9 => self.deny(id, a, b),
            10..12 => self.guest(id).services.gntdev.retry_stuck(),
            12..16 => self.touch_stuck(id, a, (b, c), d),
            16..40 => self.shorten(id, a, b),
            _ => self.typed(id, call - 40, args),
        }
        if let 10..12 = call {
            self.model.retry_all(id);
        }
    }

    fn guest(&mut self, id: DomainId) -> &mut Guest<S> {
        self.guests[id].as_mut().expect("alive")
    }

    fn step(&mut self, op: Op) {
        let [call, who, a, b, c, d, e, f] = op.map(usize::from);
        let place = who % self.places.len();
        let id = self.places[place];
        match call % 32 {
            _ if call >= OTHERS => self.other(id, call - OTHERS, [a, b, c, d]),
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
            _ if a % 16 == 0 => self.end(id, place),
            _ => self.touch_mapped(id, a, (b, c), d),
        }
        self.model.lacked = Lacked::default();
        self.compare();
    }

    /// Destroys a domain; or, if the stage can't, ends what would be its only process.
    fn end(&mut self, id: DomainId, place: usize) {
        if self.stage.destroy(id as u16) {
            self.model.destroy(id);
            self.guests[id] = None;
            self.start(place);
        } else {
            (0..3).for_each(|file| self.close_alloc(id, file, 1));
            (0..3).for_each(|dev| self.close_dev(id, dev, 1));
            self.drop_typed(id);
        }
    }

    fn file(&mut self, id: DomainId, number: usize) -> &mut GntallocFile<S::Xen> {
        let guest = self.guests[id].as_mut().expect("alive");
        let model = &mut self.model.domains[id];
        guest.files.entry(number).or_insert_with(|| {
            model.files.insert(number, AllocFile { closed: false, next_index: 0 });
            GntallocFile::open(&guest.services.gntalloc).unwrap()
        })
    }

    fn dev(&mut self, id: DomainId, number: usize) -> &mut GntdevFile<S::Xen> {
        let guest = self.guests[id].as_mut().expect("alive");
        let model = &mut self.model.domains[id];
        guest.devs.entry(number).or_insert_with(|| {
            let file = GntdevFile::open(&guest.services.gntdev).unwrap();
            let mut dev = Dev::new(model.places.take(), INDICES.into());
            if number >= ROOMY {
                file.device().and_then(|device| device.set_max_grants(MANY)).unwrap();
                dev.limit = MANY.into();
            }
            model.devs.insert(number, dev);
            file
        })
    }

    /// Returns a file that is already open, without allocating.
    fn open_file(&mut self, id: DomainId, number: usize) -> &mut GntallocFile<S::Xen> {
        self.guest(id).files.get_mut(&number).expect("opened before")
    }

    fn open_dev(&mut self, id: DomainId, number: usize) -> &mut GntdevFile<S::Xen> {
        self.guest(id).devs.get_mut(&number).expect("opened before")
    }

    /// In one case of eight closes the file, in four drops it: a closed file is of little use.
    fn close_alloc(&mut self, id: DomainId, file: usize, how: usize) {
        if how.is_multiple_of(8) {
            self.file(id, file);
            let got = self.lacking(id, |rig| answer(rig.open_file(id, file).close()));
            self.model.alloc_close(id, file, got);
        } else if how % 2 == 1 && self.guest(id).files.remove(&file).is_some() {
            self.model.drop_file(id, file);
        }
    }

    fn close_dev(&mut self, id: DomainId, dev: usize, how: usize) {
        if how.is_multiple_of(8) {
            self.dev(id, dev);
            let got = self.lacking(id, |rig| answer(rig.open_dev(id, dev).close()));
            self.model.dev_close(id, dev, got);
        } else if how % 2 == 1 && self.guest(id).devs.remove(&dev).is_some() {
            self.guest(id).addrs.remove(&dev);
            self.model.drop_dev(id, dev);
        }
    }

    /// Picks a domid, mostly of a living domain.
    fn domid(&self, pick: usize) -> u16 {
        match pick % 32 {
            0 => 0x7FF0,
            1 => u16::MAX,
            2 => 999,
            _ => self.places[pick % self.places.len()] as u16,
        }
    }

    /// Picks a port number, mostly of an open port.
    fn port(&mut self, id: DomainId, pick: usize) -> Option<PortNumber> {
        let place = pick % self.places.len();
        let port = self.guest(id).ports[place].as_ref();
        port.filter(|_| !pick.is_multiple_of(7)).map(Port::number)
    }

    /// Compares everything that can be inspected without changing it.
    fn compare(&mut self) {
        let pins = self.model.pins();
        for &id in &self.places {
            let (model, guest) = (&self.model.domains[id], self.guests[id].as_ref().unwrap());
            let mut seen = 0;
            guest.services.gntalloc.for_each(|info| {
                seen += 1;
                let page = model.pages.get(&info.gref.0).expect("a page that the model has not");
                let parked = !page.listed && page.locals == 0;
                let access = if page.writable { Access::ReadWrite } else { Access::ReadOnly };
                let state = match pins.get(&page.frame) {
                    None => PeerState::Idle,
                    Some((_, 0)) => PeerState::MappedRo,
                    Some(_) => PeerState::MappedRw,
                };
                assert_eq!(info.peer, ClaimedDomId(page.peer));
                assert_eq!((info.access, info.state, info.parked), (access, state, parked));
            });
            assert_eq!(seen, model.pages.len(), "pages charged");
            assert_eq!(guest.services.gntalloc.in_use() as usize, model.pages.len());
            assert_eq!(
                guest.services.system.counters().calls(Call::EvtchnSend) - guest.sent_before,
                model.sent
            );
            let mut usage = Usage::default();
            for dev in model.devs.values() {
                usage.reserved += dev.slots.len() as u32;
                let mapped = |slot: &&Slot| slot.mapped.is_some();
                usage.mapped += dev.slots.values().filter(mapped).count() as u32;
                let stuck = |slot: &&Slot| slot.stuck.is_some();
                usage.stuck += dev.slots.values().filter(stuck).count() as u32;
            }
            assert_eq!(guest.services.gntdev.usage(), usage);
        }
    }

    /// Releases everything, and asserts that nothing is left.
    fn finish(mut self) -> Met {
        for &id in &self.places {
            let guest = self.guests[id].as_mut().expect("alive");
            guest.files.clear();
            guest.devs.clear();
            (guest.exports, guest.regions, guest.typed) = (Vec::new(), Vec::new(), None);
        }
        self.allow_all();
        for &id in &self.places {
            let guest = self.guests[id].as_mut().expect("alive");
            guest.services.gntalloc.reap(u32::MAX);
            guest.ports.clear();
            guest.bell = None;
            self.stage.assert_clean(&guest.services);
        }
        self.model.met
    }
}

fn run_arg(index: u64, count: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&count.to_ne_bytes());
    bytes
}

fn notify_arg(index: u64, request: NotifyRequest) -> [u8; 16] {
    let mut bytes = run_arg(index, request.action);
    bytes[12..].copy_from_slice(&request.port.0.to_ne_bytes());
    bytes
}
