// SPDX-License-Identifier: MIT OR Apache-2.0
//! FakeXen: a Xen for tests on the host, stricter than the real one.
//!
//! A guest of one's own has this crate as its one dev-dependency: what it does with the services is
//! generic over [`drivers::Platform`], and runs here as it runs on metal. A [`World`] is a machine,
//! a [`Guest`] a domain in it with its services up, so that both sides of a share live in one test.
//! A [`Pair`] is what most tests begin with: Alice, who grants, and Bob, who maps.
//!
//! ```
//! use drivers::gntalloc::Export;
//! use drivers::gntdev::ReadOnly;
//! use drivers::shared::{Shared, SharedMut};
//! use drivers::{Access, DomId, Error, Pages, Platform, Services};
//! use fake_xen::Pair;
//!
//! // A guest's own: a page with a greeting. (There, `drivers` is `grantkit::drivers`.)
//! fn greet<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Export<X>, Error> {
//!     let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
//!     page.write(0, b"hello")?;
//!     Ok(page)
//! }
//!
//! // And its test: Bob reads what Alice shares with him, then both let go.
//! let pair = Pair::new();
//! let page = greet(&pair.alice, pair.bob.domid)?;
//! let mapping = pair.bob.map::<ReadOnly>(&pair.alice.offer(&page));
//! let mut seen = [0; 5];
//! mapping.read(0, &mut seen)?;
//! assert_eq!(&seen, b"hello");
//! drop(mapping);
//! page.end()?;
//! // Nothing is granted, mapped or lost anywhere.
//! pair.assert_clean();
//! # Ok::<(), Error>(())
//! ```
//!
//! # Map
//!
//! [`World`], [`Guest`], [`Pair`]: what a test begins with. [`FakeXen`]: one domain's Xen, to make
//! things go wrong and to look at. [`Task`]: what a guest does in [`World::run`]. [`Config`]: how
//! big it is, and of which [`Mode`]. [`Fault`]: what Xen is to answer. [`heap`]: an allocator that
//! refuses. [`explore`]: every moment at which the other side may step in.
//!
//! # What it refuses
//!
//! Grant entries, pins, maptrack, event channels and xenstore answer as Xen and its daemons do,
//! with the statuses and in the order in which they find fault. What Xen lets pass, but no honest
//! guest does, panics: freeing a page that is mapped or that a live entry names, mapping over a
//! mapping, unmapping by a handle and an address that don't belong together, giving back address
//! space with a mapping in it, touching memory that is not mapped so, copying to a page that is
//! free, a message to xenstore that breaks its protocol. New memory is full of rubbish, so that
//! whoever takes it for zero is found out.
//!
//! A guest is PV or PVH: see [`Mode`]. A PVH guest's grants are mapped at guest-physical addresses
//! that lead nowhere before and after. A hole that is touched, a map at an address that was not
//! reserved or that lies in its memory, with a flag that is not for it, or of a page of its own,
//! which Xen would take away from it, panics.
//!
//! # What can go wrong
//!
//! Everything that Xen may answer, at any call and any place of a batch: [`FakeXen::inject`] and
//! its neighbours. Memory that is short: [`Config::pages`], [`FakeXen::fail_page_after`], and
//! [`heap::refuse`] for the heap. A grant table that can't grow: [`FakeXen::refuse_grant_frame`]. A
//! peer that dies: [`World::destroy`]; its number, when it serves again: [`World::domain`]; one that
//! acts in the middle of a call: [`FakeXen::interrupt`]; or between any two accesses to memory that
//! is shared with it: [`FakeXen::interleave`] and [`explore`]. Daemons that sleep, lag, or write
//! nonsense: `console_*` and `xenstore_*` of [`FakeXen`].
//!
//! ```
//! use drivers::gntdev::ReadWrite;
//! use drivers::{Call, Errno};
//! use fake_xen::{Fault, Pair};
//!
//! let pair = Pair::new();
//! let export = pair.alice.share(&pair.bob, 4);
//! let reserved = pair.bob.reserve(&pair.alice.offer(&export));
//! // The hypercall fails when it comes to the third page: nothing may stay mapped.
//! pair.bob.xen.inject(Call::GnttabMap, Fault::Hypercall { at: 2, errno: Errno::EFAULT });
//! let failed = reserved.map::<ReadWrite>().unwrap_err();
//! assert_eq!(failed.error.errno(), Errno::EFAULT);
//! assert!(export.is_idle());
//! ```
//!
//! # Time and tasks
//!
//! Time is virtual: it moves while every task of [`World::run`] waits, and then to the next moment
//! that somebody waits for. A test of an hour takes no time, and a wake-up that gets lost is a
//! panic and not a test that hangs.
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
//!     theirs.wait().await; // A port that is bound has one event at once.
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
    /// Those whose number a later one has.
    gone: Vec<Domain>,
    timers: run::Timers,
    store: xenstore::Store,
}

/// One domain's view of the world: the implementor of the services' two traits, and what a test
/// looks at and lets go wrong below them. Clones are the same domain.
#[derive(Clone, Debug)]
pub struct FakeXen {
    world: World,
    domid: u16,
    pages: Arc<DomainPages>,
}

impl World {
    /// A machine without domains, at time 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts domain `domid` and brings nothing up in it: for tests of bringing up itself, with
    /// [`FakeXen::boot`]. All others begin with [`World::guest`].
    ///
    /// A number serves again once its domain was destroyed: grants that name it and ports that are
    /// offered to it are the new one's, as in Xen. The old one's values stay dead.
    ///
    /// # Panics
    /// If the domain is there already, or if pages of one that was destroyed are still mapped: Xen
    /// keeps its number until they are not.
    pub fn domain(&self, domid: u16, config: Config) -> FakeXen {
        let pages = Arc::new(DomainPages::new(&config));
        let domain = Domain::new(domid, config, pages.clone());
        let state = &mut *self.lock();
        if let Some(old) = state.domains.get(&domid) {
            assert!(!old.alive, "domain {domid} is there already");
            let mapped = old.active.len();
            assert_eq!(mapped, 0, "pages of the domain {domid} that was are still mapped");
        }
        state.gone.extend(state.domains.insert(domid, domain));
        if config.console == ConsoleKind::Ring {
            state.introduce(domid);
        }
        FakeXen { world: self.clone(), domid, pages }
    }

    /// Destroys a domain, as `xl destroy` does: its mappings and ports end, nothing is told to
    /// anybody, and pages that others map stay.
    ///
    /// Its code runs no more: what its values do when the test drops them changes nothing. For a
    /// peer that dies in the middle of something.
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

    /// Virtual time, in nanoseconds since the machine booted.
    pub fn now(&self) -> u64 {
        self.lock().now
    }

    fn lock(&self) -> Inside<'_> {
        INSIDE.with(|inside| inside.set(true));
        // A panic in one test thread is the test's failure already.
        Inside(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

std::thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the fake, whose allocations are no guest's.
pub(crate) fn is_inside() -> bool {
    INSIDE.with(Cell::get)
}

/// The world, held by this thread.
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

    /// The domain that a hypercall's domid argument means, if it's there.
    fn resolve(&self, caller: u16, domid: u16) -> Option<u16> {
        let domid = if domid == xen_sys::xen::DOMID_SELF { caller } else { domid };
        self.domains.get(&domid).filter(|domain| domain.alive).map(|_| domid)
    }
}

impl FakeXen {
    /// Its domain's number, which a real guest has to find out.
    pub fn domid(&self) -> u16 {
        self.domid
    }

    /// The world it's in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The page of events and time, as Xen sees it: to look at it, or to write what Xen would not.
    pub fn shared_info(&self) -> &SharedInfo {
        &self.pages.shared_info
    }

    /// An entry of its grant table, as Xen sees it: to look at it, or to write what Xen would not.
    pub fn grant_entry(&self, gref: GrantRef) -> &GrantEntryV1 {
        self.pages.entry(gref.0)
    }

    /// The console's ring, as its daemon sees it: to write indices that can't be.
    pub fn console_ring(&self) -> &XenconsInterface {
        &self.pages.console
    }

    /// How often its grant table was looked at: what a call on it costs.
    pub fn entry_looks(&self) -> u64 {
        self.pages.entry_looks.load(Ordering::Relaxed)
    }

    /// Entries of all its batches of maps and unmaps: what Xen was asked to do, and not how often.
    pub fn batched(&self) -> u64 {
        self.pages.batched.load(Ordering::Relaxed)
    }

    /// Asserts that Xen sees nothing of this domain granted or mapped, and all its pages free. A
    /// test ends with [`Guest::assert_clean`], which asks the services, too.
    ///
    /// # Panics
    /// If something is left, with what it is.
    pub fn assert_clean(&self) {
        self.of(&mut self.world.lock()).assert_clean();
    }

    /// Its domain: of all that had the number, the one that this is.
    fn of<'a>(&self, state: &'a mut WorldState) -> &'a mut Domain {
        let is_it = |domain: &Domain| Arc::ptr_eq(&domain.pages, &self.pages);
        let WorldState { domains, gone, .. } = state;
        let mut all = domains.get_mut(&self.domid).into_iter().chain(gone);
        all.find(|domain| is_it(domain)).expect("a domain stays in its world")
    }

    /// The world, as long as this domain lives in it.
    fn alive(&self) -> Option<Inside<'_>> {
        let mut state = self.world.lock();
        self.of(&mut state).alive.then_some(state)
    }

    /// Counts `call` and runs it, unless an error was injected for the whole of it.
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
