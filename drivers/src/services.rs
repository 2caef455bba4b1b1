// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that a guest needs, brought up in order: events, console, xenstore, grants, devices.
//!
//! If a step fails, the boot ends with one line that names it: a guest without, say, a grant table
//! has nothing to do.

use alloc::sync::Arc;
use core::fmt;

use embassy_futures::join::join4;

use crate::balloon::Balloon;
use crate::console::Console;
use crate::events::Events;
use crate::gntalloc::GntAlloc;
use crate::gntdev::GntDev;
use crate::grant_table::GrantTable;
use crate::memory::Platform;
use crate::raw::Notices;
use crate::xenstore::XenStore;
use crate::{Boot, DomId, Errno, Error, System};

/// How often parked pages and stuck mappings are retried while there are any: every 100 ms.
const RETRY_INTERVAL_NS: u64 = 100_000_000;
/// How often Xen is asked whether awaited readers of published nodes exist: every second, while
/// there are any.
const ASK_INTERVAL_NS: u64 = 1_000_000_000;
/// How many parked pages one retry looks at.
const REAP_AT_ONCE: u32 = 256;

/// Limits that can be set when a guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most pages that all gntalloc devices together may grant at a time, including parked
    /// pages.
    pub gntalloc: u32,
    /// The most grants that one gntdev device may hold.
    pub gntdev: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { gntalloc: 1024, gntdev: 65_536 }
    }
}

/// All services of one guest.
#[derive(Clone, Debug)]
pub struct Services<X: Platform> {
    /// The harmless part of Xen: clock, counters, frames.
    pub system: System<X>,
    /// Our own domid.
    pub domid: DomId,
    /// Event channels.
    pub events: Events<X>,
    /// The console.
    pub console: Console<X>,
    /// Xenstore; `None` for a guest booted as dom0.
    pub xenstore: Option<XenStore<X>>,
    /// The domain's size.
    pub balloon: Balloon<X>,
    /// Granting pages of our own.
    pub gntalloc: GntAlloc<X>,
    /// Mapping pages of peers.
    pub gntdev: GntDev<X>,
    notices: Arc<Notices<X>>,
}

/// Why a guest can't start: the failed step and its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BringUpError {
    /// The step that failed.
    pub step: &'static str,
    /// Its error.
    pub error: Error,
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't start: {}: {} ({})", self.step, self.error, self.error.errno())
    }
}

impl core::error::Error for BringUpError {}

impl<X: Platform> Services<X> {
    /// Brings up all services.
    ///
    /// # Errors
    /// The first step that fails, with its error.
    pub fn bring_up(boot: Boot<X>, limits: Limits) -> Result<Self, BringUpError> {
        let at = |step| move |error| BringUpError { step, error };
        let Boot { xen, shared_info, console, xenstore } = boot;
        let events = Events::bring_up(&xen, shared_info);
        let console = Console::bring_up(&xen, console, &events).map_err(at("console"))?;
        let domid = events.own_domid().map_err(at("event channels"))?;
        let connect = |device| XenStore::bring_up(device, &events, domid);
        let xenstore = xenstore.map(connect).transpose().map_err(at("xenstore"))?;
        let notices = Arc::new(Notices::new(&xen));
        let table = GrantTable::bring_up(&xen, notices.clone()).map_err(at("grant table"))?;
        let gntalloc = GntAlloc::new(&xen, table, events.clone(), limits.gntalloc);
        let gntdev = GntDev::new(&xen, domid, events.clone(), notices.clone(), limits.gntdev);
        let (balloon, system) = (Balloon::new(&xen), System(xen));
        Ok(Self { system, domid, events, console, xenstore, balloon, gntalloc, gntdev, notices })
    }

    /// Returns xenstore, for callers that can't do without it.
    ///
    /// # Errors
    /// ENODEV for a guest booted as dom0, which has none.
    pub fn store(&self) -> Result<&XenStore<X>, Error> {
        let absent = Error::Local(Errno::ENODEV, &"this domain has no xenstore");
        self.xenstore.as_ref().ok_or(absent)
    }

    /// Carries out all unmap notifications, for a guest that is about to end because of its own
    /// fault. It needs no heap and doesn't wait for anything that the fault interrupted.
    ///
    /// To Xen, a guest that crashed under `on_crash = "preserve"` still counts as alive: its ports
    /// stay bound and its mappings stay. Only this call tells a peer that nobody is there any more.
    pub fn last_words(&self) {
        self.notices.last_words();
        self.gntdev.last_words();
    }

    /// Does a guest's background work, in one task that never ends: it frees parked pages, retries
    /// unmaps that Xen refused, moves printed output to the console when its daemon makes room, and
    /// permits late readers to read published nodes. No timer runs while there is nothing to do.
    /// Running it several times at once is harmless.
    pub async fn upkeep(&self) {
        let (reap, retry) = (self.reap_forever(), self.retry_forever());
        join4(reap, retry, self.console.flush_forever(), self.admit_forever()).await;
    }

    async fn admit_forever(&self) {
        let Some(xenstore) = &self.xenstore else {
            return;
        };
        loop {
            xenstore.wait_expecting().await;
            self.system.sleep_until(self.system.now() + ASK_INTERVAL_NS).await;
            xenstore.admit().await;
        }
    }

    async fn retry_forever(&self) {
        loop {
            self.gntdev.wait_stuck().await;
            self.system.sleep_until(self.system.now() + RETRY_INTERVAL_NS).await;
            self.gntdev.retry_stuck();
        }
    }

    async fn reap_forever(&self) {
        loop {
            self.gntalloc.wait_parked().await;
            while self.gntalloc.parked() > 0 {
                self.system.sleep_until(self.system.now() + RETRY_INTERVAL_NS).await;
                self.gntalloc.reap(REAP_AT_ONCE);
            }
        }
    }
}
