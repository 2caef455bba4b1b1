// SPDX-License-Identifier: MIT OR Apache-2.0
//! The granter: serves one mapper after another, for as long as the guest runs.
//!
//! `demo granter` starts the service and waits for its first run; the service then continues in the
//! background. Each mapper that calls gets its own control page and port. When its run is over,
//! successful or not, everything is reclaimed before the next mapper is served.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;

use drivers::events::Port;
use drivers::gntalloc::{Device, Export};
use drivers::memory::Platform;
use drivers::peers::{Lookout, News, look};
use drivers::{Access, DomId, Error, Pages, Services};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use log::Level;

use super::find::{GRANTER, MAPPER, Post, VERSION, numbers};
use super::lead;
use super::link::{Link, is_bound};
use super::plan::{CLEAN, DemoPlan};
use super::report::{clean_words, say, tell};
use super::stop::{Stop, Trouble, at};
use crate::text;
use crate::verdict::{InUse, Score, Why};

/// How long a mapper that called may take to connect: 1 s.
const COMING_NS: u64 = 1_000_000_000;
/// How long a mapper may take to let go at the end: 2 s.
const LETTING_GO_NS: u64 = 2_000_000_000;
/// The pause before another try when xenstore has refused: 5 s.
const AGAIN_NS: u64 = 5_000_000_000;
/// Maximum number of lines printed about nonsense between two runs; more is ignored silently.
const COMPLAINTS: u32 = 8;

/// The service's controls, held by the shell.
pub(crate) struct Granter {
    start: Signal<NoopRawMutex, ()>,
    stop: Signal<NoopRawMutex, ()>,
    outcome: Signal<NoopRawMutex, Result<Score, Trouble>>,
    /// Whether somebody waits for the outcome.
    awaited: Cell<bool>,
}

impl Granter {
    pub(crate) fn new() -> Self {
        let (start, stop, outcome) = (Signal::new(), Signal::new(), Signal::new());
        Self { start, stop, outcome, awaited: Cell::new(false) }
    }

    /// Starts the service unless it runs, and waits for the next run to end. Dropping the future
    /// before that stops the service.
    pub(crate) async fn run(&self) -> Result<Score, Trouble> {
        let guard = Guard(self);
        self.outcome.reset();
        self.awaited.set(true);
        self.start.signal(());
        let outcome = self.outcome.wait().await;
        core::mem::forget(guard);
        self.awaited.set(false);
        outcome
    }

    /// The service: waits until it is started.
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

    /// Serves until it is stopped, or until xenstore refuses while somebody waits.
    async fn serve_on<X: Platform>(&self, services: &Services<X>, plan: DemoPlan) {
        loop {
            let trouble = match self.serve_all(services, plan).await {
                Ok(never) => match never {},
                Err(trouble) => trouble,
            };
            if self.awaited.get() {
                return self.outcome.signal(Err(trouble));
            }
            text::log(Level::Warn, "demo granter", &trouble);
            services.system.sleep_until(services.system.now() + AGAIN_NS).await;
        }
    }

    async fn serve_all<X: Platform>(
        &self,
        services: &Services<X>,
        plan: DemoPlan,
    ) -> Result<Infallible, Trouble> {
        let mut lookout = Lookout::new(services, MAPPER).await.map_err(at("demo"))?;
        let mut post = Post::new(services, GRANTER);
        let (mut served, mut complaints) = (None, 0);
        loop {
            post.say(format_args!("{VERSION} free")).await?;
            // A mapper whose call was overlooked calls again when it sees this.
            let News::At(peer) = lookout.news(None).await.map_err(at(MAPPER))? else {
                continue;
            };
            let Some(call) = look(services, peer, MAPPER).await.map_err(at(MAPPER))? else {
                continue;
            };
            let trouble = match numbers(&call) {
                Some([VERSION, whom, _]) if whom != u32::from(services.domid.get()) => continue,
                Some([VERSION, _, call]) if served == Some((peer, call)) => continue,
                Some([VERSION, _, call]) => {
                    served = Some((peer, call));
                    match run(services, &mut post, peer, call, plan).await? {
                        Ok(score) => {
                            complaints = 0;
                            self.outcome.signal(Ok(score));
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

/// One run with one mapper: the score, or why the run was cut short.
async fn run<X: Platform>(
    services: &Services<X>,
    post: &mut Post<'_, X>,
    peer: DomId,
    call: u32,
    plan: DemoPlan,
) -> Result<Result<Score, Stop>, Trouble> {
    let (gntalloc, before, page, port) = match prepare(services, peer) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error.into())),
    };
    let gref = page.gref();
    post.say(format_args!("{VERSION} {peer} {call} {gref} {}", port.number())).await?;
    let late = services.system.sleep_until(services.system.now() + COMING_NS);
    if let Either::Second(()) = select(port.wait(), late).await
        && !is_bound(&port, peer)
    {
        return Ok(Err(Stop::Gone("called and did not come")));
    }
    let mut link = Link::new(services, peer, &port, &page, true);
    let score = lead::all(&mut link, &gntalloc, plan).await;
    let mut score = match score {
        Ok(score) if score.failed == 0 => score,
        other => return Ok(other),
    };
    // The mapper unmaps the control page last, after answering.
    let deadline = services.system.now() + LETTING_GO_NS;
    while !page.is_idle() && services.system.now() < deadline {
        services.system.sleep_until(services.system.now() + 2_000_000).await;
    }
    drop((page, port));
    services.gntalloc.reap(u32::MAX);
    tell(services, &mut score, CLEAN, &clean_words(services, before));
    Ok(Ok(score))
}

/// What a run starts with: a device, the counts from before, the control page, the port.
type Prepared<X> = (Device<X>, InUse, Export<X>, Port<X>);

fn prepare<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Prepared<X>, Error> {
    let gntalloc = services.gntalloc.open();
    lead::warm_up(&gntalloc, peer)?;
    let before = InUse::of(services);
    let page = gntalloc.alloc(peer, Pages(1), Access::ReadWrite)?;
    let port = services.events.alloc_unbound(peer)?;
    Ok((gntalloc, before, page, port))
}
