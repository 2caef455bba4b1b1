// SPDX-License-Identifier: MIT OR Apache-2.0
//! FakeXen: a Xen for tests on the host, stricter than the real one.
//!
//! To test your own guest, add this crate as its only dev-dependency. Code that uses the services
//! is generic over [`drivers::Platform`], and runs here exactly as it does in a real guest. A
//! [`World`] is a machine, and a [`Guest`] is a domain in it with its services up, so both sides of
//! a share fit in one test. Most tests start from a [`Pair`]: Alice, who grants, and Bob, who maps.
//!
//! ```
//! use drivers::gntalloc::Export;
//! use drivers::gntdev::ReadOnly;
//! use drivers::shared::{Shared, SharedMut};
//! use drivers::{Access, DomId, Error, Pages, Platform, Services};
//! use fake_xen::Pair;
//!
//! // The guest's own code: shares a page with a greeting. (In a guest, `drivers` is
//! // `grantkit::drivers`.)
//! fn greet<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Export<X>, Error> {
//!     let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
//!     page.write(0, b"hello")?;
//!     Ok(page)
//! }
//!
//! // Its test: Bob reads what Alice shares with him, then both let go.
//! let pair = Pair::new();
//! let page = greet(&pair.alice, pair.bob.domid)?;
//! let mapping = pair.bob.map::<ReadOnly>(&pair.alice.offer(&page));
//! let mut seen = [0; 5];
//! mapping.read(0, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! drop(mapping);
//! page.end()?;
//! // Nothing is still granted or mapped, and no page is lost.
//! pair.assert_clean();
//! # Ok::<(), Error>(())
//! ```
//!
//! # Map
//!
//! | item | what it is |
//! |---|---|
//! | [`World`], [`Guest`], [`Pair`] | what a test starts with |
//! | [`FakeXen`] | the Xen below one domain: inject faults, inspect its state |
//! | [`Config`], [`Mode`] | a domain's size, and whether it is PV or PVH |
//! | [`Fault`] | what goes wrong in a hypercall |
//! | [`Task`] | what a guest does in [`World::run`] |
//! | [`heap`] | an allocator that refuses requests |
//! | [`explore`] | tries every moment at which the other side may act |
//!
//! # What it refuses
//!
//! Grant entries, pins, maptrack, event channels and xenstore answer as Xen and its daemons do:
//! with the same statuses, checked in the same order. FakeXen panics where Xen would let a bug
//! pass:
//!
//! * freeing a page that is mapped, or that a live grant entry names;
//! * mapping over a mapping;
//! * unmapping by a handle and an address that don't belong together;
//! * releasing address space that still has a mapping in it;
//! * accessing memory that isn't mapped, or writing to memory that is mapped read-only;
//! * copying from or to a free page;
//! * giving a frame back to Xen that is still mapped or granted, or that is not zeroed;
//! * sending xenstore a message that breaks its protocol.
//!
//! New memory is filled with garbage, to catch code that assumes it is zero.
//!
//! A guest is PV or PVH: see [`Mode`]. A PVH guest maps grants at guest-physical addresses, where
//! there is a hole before the map and after the unmap. FakeXen also panics when a PVH guest
//!
//! * touches a hole;
//! * maps at an address that it did not reserve, or that lies in its own memory;
//! * maps with a flag that is not for PVH guests;
//! * maps its own page, which Xen would remove from its original address.
//!
//! # What can go wrong
//!
//! | failure | how to cause it |
//! |---|---|
//! | any answer of Xen's, at any position of a batch | [`FakeXen::inject`] and its neighbours |
//! | no free page | [`Config::pages`], [`FakeXen::fail_page_after`] |
//! | no heap memory | [`heap::refuse`] |
//! | a grant table that can't grow | [`FakeXen::refuse_grant_frame`] |
//! | a peer that dies | [`World::destroy`] |
//! | a new domain with the dead one's domid | [`World::domain`] |
//! | a peer that acts in the middle of a call | [`FakeXen::interrupt`] |
//! | a peer that acts between two accesses to memory | [`FakeXen::interleave`], [`explore`] |
//! | daemons that stop, lag or write nonsense | `console_*` and `xenstore_*` of [`FakeXen`] |
//!
//! ```
//! use drivers::gntdev::ReadWrite;
//! use drivers::{Call, Errno};
//! use fake_xen::{Fault, Pair};
//!
//! let pair = Pair::new();
//! let export = pair.alice.share(&pair.bob, 4);
//! let reserved = pair.bob.reserve(&pair.alice.offer(&export));
//! // The hypercall fails at the third page: nothing may stay mapped.
//! pair.bob.xen.inject(Call::GnttabMap, Fault::Hypercall { at: 2, errno: Errno::EFAULT });
//! let failed = reserved.map::<ReadWrite>().unwrap_err();
//! assert_eq!(failed.error.errno(), Errno::EFAULT);
//! assert!(export.is_idle());
//! ```
//!
//! # Time and tasks
//!
//! Time is virtual: it passes only while every task of [`World::run`] waits, and then jumps to the
//! next deadline. A test that sleeps for an hour takes no time, and a lost wake-up makes the test
//! panic instead of hang.
//!
//! ```
//! use fake_xen::{Pair, Task};
//!
//! let pair = Pair::new();
//! let (ours, theirs) = pair.alice.channel(&pair.bob);
//! let ring = async {
//!     pair.alice.system.sleep_until(3_600_000_000_000).await;
//!     ours.send().unwrap();
//! };
//! let answer = async {
//!     theirs.wait().await; // A newly bound port has one event pending.
//!     theirs.wait().await;
//!     assert_eq!(pair.bob.system.now(), 3_600_000_000_000);
//! };
//! let (alice, bob) = (&pair.alice.events, &pair.bob.events);
//! pair.world.run([Task::new(bob, answer), Task::new(alice, ring)]);
//! ```

mod boot;
mod console;
mod copy;
mod domain;
mod events;
mod fault;
mod grants;
mod guest;
pub mod heap;
mod interrupt;
mod memory;
mod observer;
mod reservation;
mod run;
mod seam;
mod xenstore;
mod xenstore_daemon;

use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

pub use self::domain::{Config, ConsoleKind, Mode};
use self::domain::{Domain, DomainPages};
pub use self::fault::Fault;
pub use self::guest::{Guest, Pair};
pub use self::observer::{Steps, explore};
pub use self::run::Task;
use drivers::{Call, Errno, GrantRef};
use xen_sys::grant_table::GrantEntryV1;
use xen_sys::io::console::XenconsInterface;
use xen_sys::xen::SharedInfo;

/// A machine with Xen on it, its domains, its time and its xenstore. Clones are the same machine.
#[derive(Clone, Debug, Default)]
pub struct World(Arc<Mutex<WorldState>>);

#[derive(Debug, Default)]
struct WorldState {
    now: u64,
    domains: BTreeMap<u16, Domain>,
    /// Destroyed domains whose domid a later domain has taken over.
    gone: Vec<Domain>,
    timers: run::Timers,
    store: xenstore::Store,
}

/// The Xen below one domain. It implements the two traits that the services need, and lets a test
/// inspect the domain and inject faults. Clones are the same domain.
#[derive(Clone, Debug)]
pub struct FakeXen {
    world: World,
    domid: u16,
    pages: Arc<DomainPages>,
}

impl World {
    /// Returns a machine without domains, at time 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts domain `domid` without bringing up its services: for tests of the bring-up itself,
    /// which call [`FakeXen::boot`]. All other tests start with [`World::guest`].
    ///
    /// The domid of a destroyed domain can be used again. As in Xen, the new domain gets the grants
    /// that name this domid and the ports that were offered to it. The old domain's values stay
    /// dead.
    ///
    /// # Panics
    /// If the domain exists already, or if pages of a destroyed domain with this domid are still
    /// mapped: Xen keeps the domid until they are unmapped.
    pub fn domain(&self, domid: u16, config: Config) -> FakeXen {
        let pages = Arc::new(DomainPages::new(&config));
        let domain = Domain::new(domid, config, pages.clone());
        let state = &mut *self.lock();
        if let Some(old) = state.domains.get(&domid) {
            assert!(!old.alive, "domain {domid} exists already");
            let mapped = old.active.len();
            assert_eq!(mapped, 0, "pages of the destroyed domain {domid} are still mapped");
        }
        state.gone.extend(state.domains.insert(domid, domain));
        if config.console == ConsoleKind::Ring {
            state.introduce(domid);
        }
        FakeXen { world: self.clone(), domid, pages }
    }

    /// Destroys a domain, as `xl destroy` does: its mappings and ports end without any
    /// notification, and pages of its that others map stay.
    ///
    /// Use it for a peer that dies in the middle of something. The domain's code no longer has any
    /// effect: dropping its values changes nothing.
    ///
    /// # Panics
    /// If there is no such domain.
    pub fn destroy(&self, domid: u16) {
        let state = &mut *self.lock();
        state.release_mappings(domid);
        state.close_all_ports(domid);
        state.domains.get_mut(&domid).expect("a domain to destroy").alive = false;
        state.release(domid);
    }

    /// Returns the virtual time, in nanoseconds since the machine booted.
    pub fn now(&self) -> u64 {
        self.lock().now
    }

    fn lock(&self) -> Inside<'_> {
        INSIDE.with(|inside| inside.set(true));
        // A poisoned lock means a panic in a test thread, which fails the test anyway.
        Inside(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

std::thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs FakeXen's own code, whose allocations are not the guest's.
pub(crate) fn is_inside() -> bool {
    INSIDE.with(Cell::get)
}

/// The world's state, locked by this thread.
struct Inside<'a>(MutexGuard<'a, WorldState>);

impl Deref for Inside<'_> {
    type Target = WorldState;

    fn deref(&self) -> &WorldState {
        &self.0
    }
}

impl DerefMut for Inside<'_> {
    fn deref_mut(&mut self) -> &mut WorldState {
        &mut self.0
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(false));
    }
}

impl WorldState {
    fn domain(&mut self, domid: u16) -> &mut Domain {
        self.domains.get_mut(&domid).expect("a domain that runs is in the world")
    }

    /// Returns the domid that a hypercall's domid argument stands for, if that domain is alive.
    fn resolve(&self, caller: u16, domid: u16) -> Option<u16> {
        let domid = if domid == xen_sys::xen::DOMID_SELF { caller } else { domid };
        self.domains.get(&domid).filter(|domain| domain.alive).map(|_| domid)
    }
}

impl FakeXen {
    /// Returns its domain's domid, which a real guest has to find out.
    pub fn domid(&self) -> u16 {
        self.domid
    }

    /// Returns the world that the domain is in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Returns the shared info page (events and time) as Xen sees it, to inspect it or to write
    /// what Xen never would.
    pub fn shared_info(&self) -> &SharedInfo {
        &self.pages.shared_info
    }

    /// Returns an entry of its grant table as Xen sees it, to inspect it or to write what Xen never
    /// would.
    pub fn grant_entry(&self, gref: GrantRef) -> &GrantEntryV1 {
        self.pages.entry(gref.0)
    }

    /// Returns the console ring as the daemon sees it, to write impossible indices.
    pub fn console_ring(&self) -> &XenconsInterface {
        &self.pages.console
    }

    /// Returns how often the guest accessed its grant table: a measure of what a call costs.
    pub fn entry_looks(&self) -> u64 {
        self.pages.entry_looks.load(Ordering::Relaxed)
    }

    /// Returns the number of maps and unmaps requested so far: operations, not hypercalls.
    pub fn batched(&self) -> u64 {
        self.pages.batched.load(Ordering::Relaxed)
    }

    /// Asserts that, as Xen sees it, this domain has nothing granted or mapped, and all its pages
    /// are free. Tests end with [`Guest::assert_clean`], which checks the services as well.
    ///
    /// # Panics
    /// If anything is left. The message says what.
    pub fn assert_clean(&self) {
        self.of(&mut self.world.lock()).assert_clean();
    }

    /// Returns this domain, among all that have had its domid.
    fn of<'a>(&self, state: &'a mut WorldState) -> &'a mut Domain {
        let is_it = |domain: &Domain| Arc::ptr_eq(&domain.pages, &self.pages);
        let WorldState { domains, gone, .. } = state;
        let mut all = domains.get_mut(&self.domid).into_iter().chain(gone);
        all.find(|domain| is_it(domain)).expect("a domain stays in its world")
    }

    /// Returns the world's state, or `None` if this domain is dead.
    fn alive(&self) -> Option<Inside<'_>> {
        let mut state = self.world.lock();
        self.of(&mut state).alive.then_some(state)
    }

    /// Counts `call` and carries it out, with the faults that were injected into it.
    fn call<R>(
        &self,
        call: Call,
        run: impl FnOnce(&mut WorldState, &mut fault::CallFaults) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        self.pages.counters.count(call);
        self.moment();
        let result = self.carry_out(call, run);
        self.moment();
        result
    }

    fn carry_out<R>(
        &self,
        call: Call,
        run: impl FnOnce(&mut WorldState, &mut fault::CallFaults) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let state = &mut *self.world.lock();
        if !self.of(state).alive {
            return Err(Errno::ESRCH);
        }
        let mut batch = self.of(state).faults.take(call);
        run(state, &mut batch)
    }
}
