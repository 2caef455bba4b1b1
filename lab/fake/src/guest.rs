// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running guests, and what most tests start with: shared pages, mapped pages, an event channel.

use std::ops::Deref;
use std::vec::Vec;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, Reservation, Usage};
use drivers::{Access, ClaimedGrant, Limits, Pages, Services};

use super::{Config, FakeXen, World};

/// A running guest: the Xen below it and its services, to which it dereferences.
///
/// Its own methods ([`Guest::share`] and the like) set the scene of a test, and panic if a call
/// fails. Make the call under test through the services.
#[derive(Debug)]
pub struct Guest {
    /// Its Xen, to inject faults and to inspect.
    pub xen: FakeXen,
    /// Its services.
    pub services: Services<FakeXen>,
}

impl Deref for Guest {
    type Target = Services<FakeXen>;

    fn deref(&self) -> &Services<FakeXen> {
        &self.services
    }
}

impl Guest {
    /// Grants `pages` zeroed pages to `peer`, for reading and writing.
    ///
    /// # Panics
    /// If the call fails.
    pub fn share(&self, peer: &Guest, pages: u32) -> Export<FakeXen> {
        self.share_as(peer, pages, Access::ReadWrite)
    }

    /// Grants `pages` zeroed pages to `peer`, with the given access.
    ///
    /// # Panics
    /// If the call fails.
    pub fn share_as(&self, peer: &Guest, pages: u32, access: Access) -> Export<FakeXen> {
        let device = self.gntalloc.open();
        device.alloc(peer.domid, Pages(pages), access).expect("pages to share")
    }

    /// Reserves room for `grants`, in a newly opened device.
    ///
    /// # Panics
    /// If the call fails.
    pub fn reserve(&self, grants: &[ClaimedGrant]) -> Reservation<FakeXen> {
        let device = self.gntdev.open().expect("a device");
        device.reserve(grants).expect("room for grants")
    }

    /// Maps `grants`, in a newly opened device.
    ///
    /// # Panics
    /// If the call fails.
    pub fn map<A: MapAccess>(&self, grants: &[ClaimedGrant]) -> Mapping<FakeXen, A> {
        self.reserve(grants).map().expect("grants that can be mapped")
    }

    /// Opens an event channel to `peer`. Returns this guest's port and the peer's. The peer's has
    /// an event pending: Xen sets one when a port is bound.
    ///
    /// # Panics
    /// If either port can't be allocated.
    pub fn channel(&self, peer: &Guest) -> (Port<FakeXen>, Port<FakeXen>) {
        let ours = self.events.alloc_unbound(peer.domid).expect("a port to offer");
        let bound = peer.events.bind_interdomain(self.domid, ours.number());
        (ours, bound.expect("a port that is offered"))
    }

    /// Returns what this guest announces to the export's peer: a claim for each of its pages.
    pub fn offer(&self, export: &Export<FakeXen>) -> Vec<ClaimedGrant> {
        export.grefs().map(|gref| self.domid.grant(gref)).collect()
    }

    /// Asserts that its services have nothing in use, and that Xen agrees.
    ///
    /// # Panics
    /// If anything is left. The message says what.
    pub fn assert_clean(&self) {
        assert_eq!(self.gntalloc.in_use(), 0, "grants are left");
        assert_eq!(self.gntdev.usage(), Usage::default(), "reservations or mappings are left");
        self.xen.assert_clean();
    }
}

impl World {
    /// Starts domain `domid` and brings its services up.
    ///
    /// # Panics
    /// If they don't come up, or the domain exists already.
    pub fn guest(&self, domid: u16, config: Config) -> Guest {
        self.guest_with(domid, config, Limits::default())
    }

    /// Like [`World::guest`], with the given limits.
    ///
    /// # Panics
    /// As for [`World::guest`].
    pub fn guest_with(&self, domid: u16, config: Config, limits: Limits) -> Guest {
        let xen = self.domain(domid, config);
        let services = Services::bring_up(xen.boot(), limits).expect("a guest comes up");
        Guest { xen, services }
    }
}

/// A world with two guests, domains 1 and 2: what a test of anything shared starts with. Add a
/// third with [`World::guest`].
#[derive(Debug)]
pub struct Pair {
    /// The world.
    pub world: World,
    /// Domain 1, usually the granter.
    pub alice: Guest,
    /// Domain 2, usually the mapper.
    pub bob: Guest,
}

impl Pair {
    /// Starts two guests of default size.
    pub fn new() -> Self {
        Self::of(Config::default(), Config::default())
    }

    /// Starts two guests with the given configurations, for a test in which something runs short.
    pub fn of(alice: Config, bob: Config) -> Self {
        let world = World::new();
        let (alice, bob) = (world.guest(1, alice), world.guest(2, bob));
        Self { world, alice, bob }
    }

    /// Asserts that neither guest has anything granted or mapped, or has lost a page. Tests end
    /// with it.
    ///
    /// # Panics
    /// If anything is left. The message says what.
    pub fn assert_clean(&self) {
        self.alice.assert_clean();
        self.bob.assert_clean();
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}
