// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything a guest needs, brought up in order: events, console, xenstore, grants, devices.
//!
//! A step that fails ends the boot with one line that names it: a guest without a grant table has
//! nothing to do.

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

/// How often parked pages and stuck mappings are tried again while there are any: every 100 ms.
const RETRY_INTERVAL_NS: u64 = 100_000_000;
/// How often Xen is asked for awaited readers of published nodes while there are any: every second.
const ASK_INTERVAL_NS: u64 = 1_000_000_000;
/// Parked pages that one of these tries looks at.
const REAP_AT_ONCE: u32 = 256;

/// What can be set when a guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages that gntalloc grants at once over all devices, parked ones included.
    pub gntalloc: u32,
    /// Grants that one device of gntdev has room for.
    pub gntdev: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { gntalloc: 1024, gntdev: 65_536 }
    }
}

/// The services of one guest.
#[derive(Clone, Debug)]
pub struct Services<X: Platform> {
    /// The harmless part of Xen: clock, counters, frames.
    pub system: System<X>,
    /// Our own number.
    pub domid: DomId,
    /// Event channels.
    pub events: Events<X>,
    /// The console.
    pub console: Console<X>,
    /// Xenstore; in dom0's place there is none.
    pub xenstore: Option<XenStore<X>>,
    /// The domain's size.
    pub balloon: Balloon<X>,
    /// Granting pages of ours.
    pub gntalloc: GntAlloc<X>,
    /// Mapping pages of others.
    pub gntdev: GntDev<X>,
    notices: Arc<Notices<X>>,
}

/// Why a guest can't start: the step, and its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BringUpError {
    /// What was being brought up.
    pub step: &'static str,
    /// What went wrong.
    pub error: Error,
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't start: {}: {} ({})", self.step, self.error, self.error.errno())
    }
}

impl core::error::Error for BringUpError {}

impl<X: Platform> Services<X> {
    /// Brings everything up.
    ///
    /// # Errors
    /// The first step that fails.
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

    /// Xenstore, for those who can't do without.
    ///
    /// # Errors
    /// ENODEV in dom0's place, where there is none.
    pub fn store(&self) -> Result<&XenStore<X>, Error> {
        let absent = Error::Local(Errno::ENODEV, "this domain has no xenstore");
        self.xenstore.as_ref().ok_or(absent)
    }

    /// Tells peers what they asked to be told when we let go, for a guest that is about to end by
    /// a fault of its own. Needs no heap, and waits for nothing that the fault has interrupted.
    ///
    /// A guest that crashes under `on_crash = "preserve"` still counts as alive to Xen: its ports
    /// stay bound and its mappings stay. Only this tells a peer that nobody is there any more.
    pub fn last_words(&self) {
        self.notices.last_words();
        self.gntdev.last_words();
    }

    /// What a guest has to do beside its application, in one task that never ends: it gives parked
    /// pages back, tries again to unmap what Xen would not, moves what was printed to the console
    /// when its daemon makes room, and permits published nodes to readers who come later. While
    /// there is nothing of that, no timer runs. Several at once do no harm.
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
