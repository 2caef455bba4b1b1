//! The granter: serves one mapper after the other, for as long as the guest runs.
//!
//! `demo granter` starts the service and waits for its first run; the service goes on behind the
//! shell. A mapper that calls gets a control page and a port of its own; when its run is over,
//! well or not, everything is taken back before the next is served.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;

use drivers::events::Port;
use drivers::gntalloc::{Export, Handle};
use drivers::memory::Platform;
use drivers::xenstore::XenStore;
use drivers::{Access, DomId, Errno, Error, Services};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;

use super::find::{GRANTER, Lookout, MAPPER, News, Post, VERSION, look, numbers};
use super::link::{Link, is_bound};
use super::{CLEAN, DemoPlan, Stop, Trouble, lead, say, tell, words};
use crate::verdict::{InUse, Tally, Why};

/// How long a mapper that called may take to come: 1 s.
const COMING_NS: u64 = 1_000_000_000;
/// How long a mapper may take to let go at the end: 2 s.
const LETTING_GO_NS: u64 = 2_000_000_000;
/// The pause before another try when xenstore has refused: 5 s.
const AGAIN_NS: u64 = 5_000_000_000;
/// Lines about nonsense between two runs; the rest is passed over in silence.
const COMPLAINTS: u32 = 8;

/// The service, as the shell holds it.
pub(crate) struct Granter {
    start: Signal<NoopRawMutex, ()>,
    stop: Signal<NoopRawMutex, ()>,
    outcome: Signal<NoopRawMutex, Result<Tally, Trouble>>,
    /// Whether somebody waits for the outcome.
    awaited: Cell<bool>,
}

impl Granter {
    pub(crate) fn new() -> Self {
        let (start, stop, outcome) = (Signal::new(), Signal::new(), Signal::new());
        Self { start, stop, outcome, awaited: Cell::new(false) }
    }

    /// Starts the service unless it runs, and waits for the next run's end. Dropped before that,
    /// it stops the service.
    pub(crate) async fn run(&self) -> Result<Tally, Trouble> {
        let guard = Guard(self);
        self.outcome.reset();
        self.awaited.set(true);
        self.start.signal(());
        let outcome = self.outcome.wait().await;
        core::mem::forget(guard);
        self.awaited.set(false);
        outcome
    }

    /// The service: waits until it's started.
    pub(crate) async fn serve<X: Platform>(
        &self,
        services: &Services<X>,
        plan: DemoPlan,
    ) -> Infallible {
        loop {
            self.start.wait().await;
            self.stop.reset();
            select(self.stop.wait(), self.serve_on(services, plan)).await;
        }
    }

    /// Serves until it's stopped, or until xenstore refuses while somebody waits.
    async fn serve_on<X: Platform>(&self, services: &Services<X>, plan: DemoPlan) {
        loop {
            let absent = Error::Invalid(Errno::ENODEV, "this domain has no xenstore");
            let trouble = match &services.xenstore {
                Some(store) => match self.serve_all(services, store, plan).await {
                    Ok(never) => match never {},
                    Err(trouble) => trouble,
                },
                None => ("demo", absent),
            };
            if self.awaited.get() {
                return self.outcome.signal(Err(trouble));
            }
            log::warn!("demo granter: {}: {}", trouble.0, trouble.1);
            services.xen.sleep_until(services.xen.now() + AGAIN_NS).await;
        }
    }

    async fn serve_all<X: Platform>(
        &self,
        services: &Services<X>,
        store: &XenStore<X>,
        plan: DemoPlan,
    ) -> Result<Infallible, Trouble> {
        let mut lookout = Lookout::new(services, store, MAPPER).await?;
        let post = Post::new(services, store, GRANTER);
        let (mut served, mut complaints) = (None, 0);
        loop {
            post.say(format_args!("{VERSION} free")).await?;
            // A call that was overlooked is made again when this is heard.
            let News::At(peer) = lookout.news(None).await? else {
                continue;
            };
            let Some(call) = look(services, store, peer, MAPPER).await? else {
                continue;
            };
            let trouble = match numbers(&call) {
                Some([VERSION, whom, _]) if whom != u32::from(services.domid.get()) => continue,
                Some([VERSION, _, call]) if served == Some((peer, call)) => continue,
                Some([VERSION, _, call]) => {
                    served = Some((peer, call));
                    match run(services, &post, peer, call, plan).await? {
                        Ok(tally) => {
                            complaints = 0;
                            self.outcome.signal(Ok(tally));
                            continue;
                        }
                        Err(trouble) => trouble,
                    }
                }
                _ => Why::new(format_args!("publishes nonsense in {MAPPER}")).into(),
            };
            complaints += 1;
            if complaints <= COMPLAINTS {
                say(services, format_args!("demo: domain {peer} {trouble}"));
            }
        }
    }
}

impl fmt::Debug for Granter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granter").field("awaited", &self.awaited).finish_non_exhaustive()
    }
}

/// Stops the service when nobody waits for it any more.
struct Guard<'a>(&'a Granter);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.awaited.set(false);
        self.0.stop.signal(());
    }
}

/// One run with one mapper: how many steps passed and failed, or why there was no whole run.
async fn run<X: Platform>(
    services: &Services<X>,
    post: &Post<'_, X>,
    peer: DomId,
    call: u32,
    plan: DemoPlan,
) -> Result<Result<Tally, Stop>, Trouble> {
    let (gntalloc, before, page, port) = match prepare(services, peer) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error.into())),
    };
    let gref = page.grefs().next().unwrap_or_default();
    post.say(format_args!("{VERSION} {peer} {call} {gref} {}", port.number())).await?;
    let late = services.xen.sleep_until(services.xen.now() + COMING_NS);
    if let Either::Second(()) = select(port.wait(), late).await
        && !is_bound(&port, peer)
    {
        return Ok(Err(Stop::Gone("called and did not come")));
    }
    let mut link = Link::new(services, peer, &port, &page, true);
    let tally = lead::all(&mut link, &gntalloc, plan).await;
    let mut tally = match tally {
        Ok(tally) if tally.failed == 0 => tally,
        other => return Ok(other),
    };
    // The mapper lets go of the control page last, after it has answered.
    let deadline = services.xen.now() + LETTING_GO_NS;
    while !page.is_idle() && services.xen.now() < deadline {
        services.xen.sleep_until(services.xen.now() + 2_000_000).await;
    }
    drop((page, port));
    services.gntalloc.reap(u32::MAX);
    tell(services, &mut tally, CLEAN, &clean(services, before));
    Ok(Ok(tally))
}

/// What a run begins with: a handle, the counts from before, the control page, the port.
type Prepared<X> = (Handle<X>, InUse, Export<X>, Port<X>);

fn prepare<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Prepared<X>, Error> {
    let gntalloc = services.gntalloc.open()?;
    lead::warm_up(&gntalloc, peer)?;
    let before = InUse::of(services);
    let page = gntalloc.alloc(peer, 1, Access::ReadWrite)?;
    let port = services.events.alloc_unbound(peer)?;
    Ok((gntalloc, before, page, port))
}

/// Whether everything is as it was before.
pub(super) fn clean<X: Platform>(
    services: &Services<X>,
    before: InUse,
) -> Result<crate::text::Text, Why> {
    let after = InUse::of(services);
    if !after.is_within(&before) {
        return Err(Why::new(format_args!("{after:?}, and before {before:?}")));
    }
    let (grants, maps, parked) = (after.grants, after.maps, after.parked);
    let free = services.xen.frames().free;
    words(format_args!(
        "{grants} grants, {maps} maps, {parked} parked, {free} frames free as before"
    ))
}
