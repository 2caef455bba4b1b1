//! Two guests in one world, as most tests want them.
#![allow(dead_code, reason = "every test file uses another part of it")]

use drivers::gntalloc::Export;
use drivers::{DomId, ForeignGrant, GrantRef, Limits, Services};
use fake_xen::{Config, FakeXen, World};

/// The granter's number.
pub const ALICE: u16 = 1;
/// The mapper's number.
pub const BOB: u16 = 2;

/// A world with two guests.
#[derive(Debug)]
pub struct Pair {
    pub world: World,
    pub alice: Services<FakeXen>,
    pub bob: Services<FakeXen>,
}

/// Two guests of default size.
pub fn pair() -> Pair {
    pair_of(Config::default(), Config::default())
}

/// Two guests of given sizes.
pub fn pair_of(alice: Config, bob: Config) -> Pair {
    let world = World::new();
    let alice = guest(&world, ALICE, alice);
    let bob = guest(&world, BOB, bob);
    Pair { world, alice, bob }
}

/// One guest, brought up.
pub fn guest(world: &World, domid: u16, config: Config) -> Services<FakeXen> {
    Services::bring_up(&world.domain(domid, config), Limits::default()).expect("a guest comes up")
}

pub fn domid(number: u16) -> DomId {
    DomId::new(number).expect("an ordinary number")
}

/// What an export's owner announces to its peer.
pub fn offer(owner: u16, export: &Export<FakeXen>) -> Vec<ForeignGrant> {
    export.grefs().map(|gref| ForeignGrant { domid: owner, gref }).collect()
}

/// A made-up announcement.
pub fn claim(domid: u16, gref: u32) -> ForeignGrant {
    ForeignGrant { domid, gref: GrantRef(gref) }
}

impl Pair {
    /// How a test ends: nothing granted, mapped or lost anywhere.
    pub fn assert_clean(&self) {
        self.alice.xen.assert_clean();
        self.bob.xen.assert_clean();
    }
}
