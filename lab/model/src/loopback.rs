// SPDX-License-Identifier: MIT OR Apache-2.0
//! One guest that grants to itself and maps its own grants, which works on any Xen without a second
//! guest.
//!
//! Xen makes the same checks as between two domains, so statuses and states are the same.

use drivers::gntdev::Usage;
use drivers::memory::Platform;
use drivers::{Call, Errno, Limits, Services};

use crate::{Fault, Room, Stage};

/// A running guest with nothing granted or mapped.
#[derive(Debug)]
pub struct LoopBack<'a, X: Platform> {
    services: &'a Services<X>,
    room: Room,
    ports: u32,
}

impl<'a, X: Platform> LoopBack<'a, X> {
    /// The largest index space of a handle, in grants: small enough to build the page tables of all
    /// handles beforehand, and count them.
    pub const INDICES: u32 = 1024;

    /// Uses this guest, which has this much room. Changes the guest's limits.
    pub fn new(services: &'a Services<X>, room: Room) -> Self {
        Self { services, room, ports: services.events.open_ports() }
    }
}

impl<X: Platform> Stage for LoopBack<'_, X> {
    type Xen = X;

    fn guests(&self) -> usize {
        1
    }

    fn room(&self) -> Room {
        self.room
    }

    fn start(&mut self, limits: Limits) -> Services<X> {
        self.services.gntalloc.set_limit(limits.gntalloc);
        self.services.gntdev.set_limit(limits.gntdev).expect("an ordinary limit");
        self.services.clone()
    }

    fn destroy(&mut self, _: u16) -> bool {
        false
    }

    fn inject(&mut self, _: u16, _: u32, _: Call, _: Fault) -> bool {
        false
    }

    fn deny(&mut self, _: u16, _: Call, _: Option<Errno>) -> bool {
        false
    }

    fn assert_clean(&self, services: &Services<X>) {
        assert_eq!(services.gntalloc.in_use(), 0, "grants are left");
        assert_eq!(services.gntalloc.parked(), 0, "parked pages are left");
        assert_eq!(services.gntdev.usage(), Usage::default(), "reservations or mappings are left");
        assert_eq!(services.events.open_ports(), self.ports, "ports are left");
    }
}
