// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guests that are up, and what most tests begin with: pages shared, pages mapped, a channel.

use std::ops::Deref;
use std::vec::Vec;

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, Reservation, Usage};
use drivers::{Access, ClaimedGrant, Limits, Pages, Services};

use super::{Config, FakeXen, World};

/// A guest: the Xen below it, and its services, which it stands for.
///
/// What it does by itself here ([`Guest::share`] and the like) panics where a call fails: that is
/// how a test sets the scene. The call that a test is about goes through the services.
#[derive(Debug)]
pub struct Guest {
    /// Its Xen, to make things go wrong and to look at.
    pub xen: FakeXen,
    /// What it has brought up.
    pub services: Services<FakeXen>,
}

impl Deref for Guest {
    type Target = Services<FakeXen>;

    fn deref(&self) -> &Services<FakeXen> {
        &self.services
    }
}

impl Guest {
    /// Grants so many zeroed pages to `peer`, for reading and writing.
    ///
    /// # Panics
    /// If that is refused.
    pub fn share(&self, peer: &Guest, pages: u32) -> Export<FakeXen> {
        self.share_as(peer, pages, Access::ReadWrite)
    }

    /// Grants so many zeroed pages to `peer`, with the access that it is to have.
    ///
    /// # Panics
    /// If that is refused.
    pub fn share_as(&self, peer: &Guest, pages: u32, access: Access) -> Export<FakeXen> {
        let device = self.gntalloc.open();
        device.alloc(peer.domid, Pages(pages), access).expect("pages to share")
    }

    /// Reserves room for `grants`, in a device that is opened for it.
    ///
    /// # Panics
    /// If that is refused.
    pub fn reserve(&self, grants: &[ClaimedGrant]) -> Reservation<FakeXen> {
        let device = self.gntdev.open().expect("a device");
        device.reserve(grants).expect("room for grants")
    }

    /// Maps `grants`, in a device that is opened for it.
    ///
    /// # Panics
    /// If that is refused.
    pub fn map<A: MapAccess>(&self, grants: &[ClaimedGrant]) -> Mapping<FakeXen, A> {
        self.reserve(grants).map().expect("grants that can be mapped")
    }

    /// An event channel to `peer`: this guest's end, and the peer's. The peer's has an event
    /// pending, as Xen makes it when a port is bound.
    ///
    /// # Panics
    /// If a port is refused.
    pub fn channel(&self, peer: &Guest) -> (Port<FakeXen>, Port<FakeXen>) {
        let ours = self.events.alloc_unbound(peer.domid).expect("a port to offer");
        let bound = peer.events.bind_interdomain(self.domid, ours.number());
        (ours, bound.expect("a port that is offered"))
    }

    /// What this guest announces to the peer of an export: a claim for each of its pages.
    pub fn offer(&self, export: &Export<FakeXen>) -> Vec<ClaimedGrant> {
        export.grefs().map(|gref| self.domid.grant(gref)).collect()
    }

    /// Asserts that its services have nothing in use, and that Xen sees it so.
    ///
    /// # Panics
    /// If something is left, with what it is.
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
    /// If they don't come up, or the domain is there already.
    pub fn guest(&self, domid: u16, config: Config) -> Guest {
        self.guest_with(domid, config, Limits::default())
    }

    /// The same with limits of its own.
    ///
    /// # Panics
    /// As [`World::guest`].
    pub fn guest_with(&self, domid: u16, config: Config, limits: Limits) -> Guest {
        let xen = self.domain(domid, config);
        let services = Services::bring_up(xen.boot(), limits).expect("a guest comes up");
        Guest { xen, services }
    }
}

/// A world with two guests, domains 1 and 2: what a test of anything shared begins with. A third
/// comes in by [`World::guest`].
#[derive(Debug)]
pub struct Pair {
    /// The world.
    pub world: World,
    /// Domain 1, who mostly grants.
    pub alice: Guest,
    /// Domain 2, who mostly maps.
    pub bob: Guest,
}

impl Pair {
    /// Two guests of default size.
    pub fn new() -> Self {
        Self::of(Config::default(), Config::default())
    }

    /// Two guests of given sizes, for a test in which something is short.
    pub fn of(alice: Config, bob: Config) -> Self {
        let world = World::new();
        let (alice, bob) = (world.guest(1, alice), world.guest(2, bob));
        Self { world, alice, bob }
    }

    /// How a test ends: nothing granted, mapped or lost anywhere.
    ///
    /// # Panics
    /// If something is left, with what it is.
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
