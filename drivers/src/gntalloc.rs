//! gntalloc: allocates pages and grants them to another domain.
//!
//! The service behind `/dev/xen/gntalloc` (seed: gntalloc 2011), by plain indices as the seed has
//! them; [`Export`] is the same with the rules in its type. A page lives from its allocation to
//! the moment when its owner has let go *and* its entry shows that the peer has: Xen lets nobody
//! end a grant that is in use, so a page that the peer still maps is parked, stays charged to the
//! limit, and is tried again before any allocation fails and whenever [`GntAlloc::reap`] is called.
//!
//! What the seed's `add_grefs`, `__del_gref` and `do_cleanup` get wrong is not here: an index is
//! checked before it is used, a failed allocation leaves nothing behind, and a reference goes
//! back to the table together with its page.

mod export;
mod handle;
mod local;
mod records;

use alloc::sync::Arc;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use spin::{Mutex, MutexGuard};

pub use self::export::{Busy, Export};
pub use self::handle::{FLAG_WRITABLE, Handle};
pub use self::local::LocalMapping;
pub(crate) use self::records::Records;
use self::records::{Notify, Record};
use crate::events::Events;
use crate::grant_table::GrantTable;
use crate::memory::{Page, Platform};
use crate::notify;
use crate::raw::pages;
use crate::{Access, DomId, Errno, Error, GrantRef, PeerState};

/// The service. A handle on it: clones are the same service.
#[derive(Debug)]
pub struct GntAlloc<X: Platform>(Arc<Service<X>>);

#[derive(Debug)]
struct Service<X: Platform> {
    xen: X,
    table: Arc<GrantTable<X>>,
    events: Events<X>,
    /// Pages over all handles, parked ones included.
    limit: AtomicU32,
    records: Mutex<Records<X>>,
}

/// What became of a page when somebody let go of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Somebody else here uses it.
    Used,
    /// The peer maps it.
    Parked,
    /// It's back with the allocator.
    Freed,
}

/// One page of the service, for a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantInfo {
    /// Its reference.
    pub gref: GrantRef,
    /// Who it's granted to.
    pub peer: DomId,
    /// What the peer may do.
    pub access: Access,
    /// What the peer does.
    pub state: PeerState,
    /// Whether nothing here holds it any more, but the peer.
    pub parked: bool,
    /// When it was granted, in nanoseconds of Xen's system time.
    pub since: u64,
}

impl<X: Platform> GntAlloc<X> {
    /// A service without handles. `limit`: pages over all of them.
    pub fn new(xen: &X, table: Arc<GrantTable<X>>, events: Events<X>, limit: u32) -> Self {
        Self(Arc::new(Service {
            xen: xen.clone(),
            table,
            events,
            limit: AtomicU32::new(limit),
            records: Mutex::new(Records::new()),
        }))
    }

    /// A new handle, with an index space of its own.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(&self) -> Result<Handle<X>, Error> {
        let number = self.records().open()?;
        Ok(Handle { service: self.clone(), number })
    }

    /// What it knows of each page, for this caller alone.
    pub(crate) fn records(&self) -> MutexGuard<'_, Records<X>> {
        self.0.records.lock()
    }

    /// Whether two handles on a service are on the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The number of pages that may be granted at once over all handles, parked ones included.
    pub fn limit(&self) -> u32 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. Pages beyond a lower one stay; new ones are refused.
    pub fn set_limit(&self, pages: u32) {
        self.0.limit.store(pages, Ordering::Relaxed);
    }

    /// Pages that only the peer holds on to.
    pub fn parked(&self) -> u32 {
        self.records().parked()
    }

    /// Waits until there is a parked page.
    pub(crate) async fn wait_parked(&self) {
        poll_fn(|cx| {
            let records = &mut self.records();
            if records.parked() > 0 {
                return Poll::Ready(());
            }
            records.on_park.register(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Tries to free parked pages, the longest parked first, at most `max` of them. Returns how
    /// many came back.
    pub fn reap(&self, max: u32) -> u32 {
        self.reap_locked(&mut self.records(), max)
    }

    /// Calls `see` for every page that is charged to the limit, in no particular order.
    pub fn for_each(&self, mut see: impl FnMut(GrantInfo)) {
        for (record, parked) in self.records().iter() {
            see(self.info(record, parked));
        }
    }

    /// For a guest that is about to end by a fault of its own: fires every notification, as if
    /// each page were let go of. Frees nothing, and passes over what the fault has interrupted.
    pub fn last_words(&self) {
        if let Some(records) = self.0.records.try_lock() {
            records.iter().filter(|(_, parked)| !parked).for_each(|(record, _)| self.fire(record));
        }
    }

    /// Does what a page's notification asks for.
    fn fire(&self, record: &Record<X>) {
        let Some(Notify { byte, event }) = &record.notify else {
            return;
        };
        if let Some(byte) = byte {
            pages::write(&self.0.xen, &record.page, *byte, &[0]);
        }
        if let Some(port) = event {
            notify::send(port);
        }
    }

    fn info(&self, record: &Record<X>, parked: bool) -> GrantInfo {
        GrantInfo {
            gref: record.gref,
            peer: record.peer,
            access: record.access,
            state: self.0.table.peer_state(record.gref),
            parked,
            since: record.since,
        }
    }

    fn reap_locked(&self, records: &mut Records<X>, max: u32) -> u32 {
        let mut freed = 0;
        for _ in 0..max.min(records.parked()) {
            let Some(record) = records.unpark() else {
                break;
            };
            freed += u32::from(self.free_or_park(records, record) == Left::Freed);
        }
        freed
    }

    /// The end of a page's local life: its notification fires, whatever the peer does, and it's
    /// freed unless the peer maps it.
    fn let_go(&self, records: &mut Records<X>, mut record: Record<X>) -> Left {
        self.fire(&record);
        record.notify = None;
        self.free_or_park(records, record)
    }

    fn free_or_park(&self, records: &mut Records<X>, record: Record<X>) -> Left {
        if self.0.table.try_end(record.gref) {
            self.free_page(record.page);
            Left::Freed
        } else {
            records.park(record);
            Left::Parked
        }
    }

    /// Gives back a page that no entry names any more. What was in it is nobody else's business.
    fn free_page(&self, mut page: Page) {
        pages::scrub(&self.0.xen, &mut page);
        self.0.xen.free_page(page);
    }

    /// A zeroed page, granted.
    fn new_record(&self, peer: DomId, access: Access) -> Result<Record<X>, Error> {
        let mut page = self.0.xen.alloc_page().ok_or(Error::NO_MEMORY)?;
        // A peer must never see what another user of the memory left (XSA-403).
        pages::scrub(&self.0.xen, &mut page);
        let gref = match self.0.table.grant(peer, page.mfn(), access) {
            Ok(gref) => gref,
            Err(error) => {
                self.0.xen.free_page(page);
                return Err(error);
            }
        };
        // From now on the peer may write to it.
        page.set_clean(false);
        let since = self.0.xen.now();
        Ok(Record { page, gref, peer, access, users: 1, listed: true, notify: None, since })
    }

    /// Whether `count` more pages may be granted, with what is parked tried again if they may not.
    fn admit(&self, records: &mut Records<X>, count: u32) -> Result<(), Error> {
        let fits = |charged: u32| u64::from(charged) + u64::from(count) <= u64::from(self.limit());
        if !fits(records.charged()) {
            self.reap_locked(records, u32::MAX);
        }
        if !fits(records.charged()) {
            return Err(Error::Invalid(Errno::ENOSPC, "more pages than gntalloc.limit allows"));
        }
        let room = self.0.table.make_room(count);
        if room.is_err() && self.reap_locked(records, u32::MAX) > 0 {
            return self.0.table.make_room(count);
        }
        room
    }
}

impl<X: Platform> Clone for GntAlloc<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
