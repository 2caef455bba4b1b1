//! FakeXen: a Xen for tests on the host, stricter than the real one.
//!
//! A [`World`] holds domains; a [`FakeXen`] is a handle on the world *and a domain number*, so two
//! guests live in one test. Grant entries, pins, maptrack and event channels answer as Xen
//! answers, in the order in which it finds fault. What Xen lets pass but no honest guest does,
//! panics here: freeing a page that is mapped or that a live entry names, mapping over a mapping,
//! unmapping by a handle and an address that don't belong together, giving back address space
//! with a mapping in it, touching memory that is not mapped so.
//!
//! Time is virtual and moves only when no guest can run ([`World::run`]).

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

pub use self::domain::{Config, ConsoleKind};
use self::domain::{Domain, DomainPages};
pub use self::fault::Fault;
pub use self::guest::{Guest, Pair};
pub use self::run::Task;
use drivers::{Call, Errno, GrantRef};
use xen_sys::io::console::XenconsInterface;
use xen_sys::xen::SharedInfo;

/// A machine with Xen on it.
#[derive(Clone, Debug, Default)]
pub struct World(Arc<Mutex<WorldState>>);

#[derive(Debug, Default)]
struct WorldState {
    now: u64,
    domains: BTreeMap<u16, Domain>,
    timers: run::Timers,
    store: xenstore::Store,
}

/// One domain's view of the world.
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

    /// Starts domain `domid`.
    pub fn domain(&self, domid: u16, config: Config) -> FakeXen {
        let pages = Arc::new(DomainPages::new(&config));
        let domain = Domain::new(domid, config, pages.clone());
        let state = &mut *self.lock();
        let old = state.domains.insert(domid, domain);
        assert!(old.is_none(), "domain {domid} is there already");
        if config.console == ConsoleKind::Ring {
            state.introduce(domid);
        }
        FakeXen { world: self.clone(), domid, pages }
    }

    /// Destroys a domain, as `xl destroy` does: its mappings and ports end, nothing is told to
    /// anybody, and pages that others map stay.
    ///
    /// Its code runs no more: what its values do when the test drops them changes nothing.
    pub fn destroy(&self, domid: u16) {
        let state = &mut *self.lock();
        state.release_mappings(domid);
        state.close_all_ports(domid);
        state.domains.get_mut(&domid).expect("a domain to destroy").alive = false;
        state.release(domid);
    }

    /// Virtual time, in nanoseconds.
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

    /// Makes `fault` happen at the next `call`.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.inject_after(0, call, fault);
    }

    /// Makes `fault` happen at the `call` after the next.
    pub fn inject_later(&self, call: Call, fault: Fault) {
        self.inject_after(1, call, fault);
    }

    /// Makes `fault` happen at the `call` that comes after so many others of its kind.
    pub fn inject_after(&self, calls: u32, call: Call, fault: Fault) {
        self.world.lock().domain(self.domid).faults.plan(calls, call, fault);
    }

    /// Makes every `call` fail with `errno`, until it's lifted with `None`.
    pub fn deny(&self, call: Call, errno: Option<Errno>) {
        self.world.lock().domain(self.domid).faults.deny(call, errno);
    }

    /// Makes the page allocation after `successes` more fail, once.
    pub fn fail_page_after(&self, successes: u32) {
        self.world.lock().domain(self.domid).pages_until_failure = Some(successes);
    }

    /// Pages out what a reference of this domain grants: it answers eagain that often, and is back.
    pub fn page_out(&self, gref: GrantRef, answers: u32) {
        let state = &mut *self.world.lock();
        let domain = state.domain(self.domid);
        let mfn = domain.pages.entry(gref.0).frame.load(Ordering::SeqCst);
        domain.paged_out.insert(mfn.into(), answers);
    }

    /// Runs `run` when the domain looks at its grant table for the `looks`th time from now: what
    /// somebody else does just then.
    pub fn interrupt(&self, looks: u64, run: impl FnOnce() + Send + 'static) {
        self.pages.interrupts.set(self.entry_looks() + looks, run);
    }

    /// The page of events and time, as Xen sees it.
    pub fn shared_info(&self) -> &SharedInfo {
        &self.pages.shared_info
    }

    /// The console's ring, as its daemon sees it.
    pub fn console_ring(&self) -> &XenconsInterface {
        &self.pages.console
    }

    /// How often its grant table was looked at.
    pub fn entry_looks(&self) -> u64 {
        self.pages.entry_looks.load(Ordering::Relaxed)
    }

    /// Entries of all its batches of maps and unmaps.
    pub fn batched(&self) -> u64 {
        self.pages.batched.load(Ordering::Relaxed)
    }

    /// Whether nothing of this domain is granted, mapped or open, and all its pages are free:
    /// how a test ends.
    ///
    /// # Panics
    /// If something is left, with what it is.
    pub fn assert_clean(&self) {
        self.world.lock().domain(self.domid).assert_clean();
    }

    /// The world, as long as this domain lives in it.
    fn alive(&self) -> Option<Inside<'_>> {
        let mut state = self.world.lock();
        state.domain(self.domid).alive.then_some(state)
    }

    /// Counts `call` and runs it, unless an error was injected for the whole of it.
    fn call<R>(
        &self,
        call: Call,
        run: impl FnOnce(&mut WorldState, &mut fault::CallFaults) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        self.pages.counters.count(call);
        let state = &mut *self.world.lock();
        if !state.domain(self.domid).alive {
            return Err(Errno::ESRCH);
        }
        let mut batch = state.domain(self.domid).faults.take(call);
        run(state, &mut batch)
    }
}
