//! Everything a guest needs, brought up in order: events, console, xenstore, grants, devices.
//!
//! A step that fails ends the boot with one line that names it: a guest without a grant table has
//! nothing to do.

use alloc::sync::Arc;
use core::fmt;

use crate::console::Console;
use crate::events::Events;
use crate::gntalloc::GntAlloc;
use crate::gntdev::GntDev;
use crate::memory::Platform;
use crate::xenstore::XenStore;
use crate::{DomId, Error, GrantTable};

/// How often parked pages are tried again while there are any: every 100 ms.
const REAP_INTERVAL_NS: u64 = 100_000_000;
/// Parked pages that one of these tries looks at.
const REAP_AT_ONCE: u32 = 256;

/// What can be set when a guest starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages that gntalloc grants at once over all handles, parked ones included.
    pub gntalloc: u32,
    /// Grants that one handle of gntdev has room for.
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
    /// Xen and memory.
    pub xen: X,
    /// Our own number.
    pub domid: DomId,
    /// Event channels.
    pub events: Events<X>,
    /// The console.
    pub console: Console<X>,
    /// Xenstore; in dom0's place there is none.
    pub xenstore: Option<XenStore<X>>,
    /// The grant table.
    pub table: Arc<GrantTable<X>>,
    /// Granting pages of ours.
    pub gntalloc: GntAlloc<X>,
    /// Mapping pages of others.
    pub gntdev: GntDev<X>,
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
    pub fn bring_up(xen: &X, limits: Limits) -> Result<Self, BringUpError> {
        let at = |step| move |error| BringUpError { step, error };
        let events = Events::bring_up(xen);
        let console = Console::bring_up(xen, &events).map_err(at("console"))?;
        let domid = events.own_domid().map_err(at("event channels"))?;
        let xenstore = XenStore::bring_up(xen, &events).map_err(at("xenstore"))?;
        let table = Arc::new(GrantTable::bring_up(xen).map_err(at("grant table"))?);
        let gntalloc = GntAlloc::new(xen, table.clone(), events.clone(), limits.gntalloc);
        let gntdev = GntDev::new(xen, events.clone(), limits.gntdev);
        Ok(Self { xen: xen.clone(), domid, events, console, xenstore, table, gntalloc, gntdev })
    }

    /// Tells peers what they asked to be told when we let go, for a guest that is about to end by
    /// a fault of its own. Needs no heap, and waits for nothing that the fault has interrupted.
    ///
    /// A guest that crashes under `on_crash = "preserve"` still counts as alive to Xen: its ports
    /// stay bound and its mappings stay. Only this tells a peer that nobody is there any more.
    pub fn last_words(&self) {
        self.gntalloc.last_words();
        self.gntdev.last_words();
    }

    /// Gives back parked pages once their peers let go. Never completes; without parked pages no
    /// timer runs.
    pub async fn reap_forever(&self) {
        loop {
            self.gntalloc.wait_parked().await;
            while self.gntalloc.parked() > 0 {
                self.xen.sleep_until(self.xen.now() + REAP_INTERVAL_NS).await;
                self.gntalloc.reap(REAP_AT_ONCE);
            }
        }
    }
}
