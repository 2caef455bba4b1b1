// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntalloc: allocates pages and grants them to another domain.
//!
//! The service behind Linux's `/dev/xen/gntalloc`, after the gntalloc driver of 2011 (its
//! [seed](crate)). It has two APIs: a [`Device`] hands out [`Export`]s, which own their pages and
//! references; an [`IndexDevice`] has the seed's own calls, by plain index.
//!
//! Xen lets nobody end a grant that is in use, so a page lives until its owner has released it
//! *and* its grant entry shows that the peer has unmapped it. A released page that the peer still
//! maps is *parked*: it stays charged to the limit, and is tried again before any allocation fails
//! and whenever [`GntAlloc::reap`] is called.
//!
//! The bugs of the seed's `add_grefs`, `__del_gref` and `do_cleanup` are avoided: an index is
//! checked before it is used, a failed allocation leaves nothing behind, and a reference is freed
//! together with its page.

mod export;
mod indexed;
mod local;
mod parking;

use alloc::sync::Arc;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use crate::lock::Mutex;

pub use self::export::{Busy, Device, Export};
use self::indexed::OpenedAlloc;
pub use self::indexed::{FLAG_WRITABLE, IndexDevice};
pub use self::local::LocalMapping;
use self::parking::{Parked, Parking};
use crate::events::Events;
use crate::few::Few;
use crate::grant_table::{GrantInfo, GrantTable, Granted};
use crate::memory::Platform;
use crate::raw::pages;
use crate::slab::Slab;
use crate::waiters::WaitList;
use crate::{Access, DomId, Error, Pages};

/// The gntalloc service. Clones refer to the same service.
#[derive(Debug)]
pub struct GntAlloc<X: Platform>(Arc<GntAllocService<X>>);

#[derive(Debug)]
struct GntAllocService<X: Platform> {
    xen: X,
    table: GrantTable<X>,
    events: Events<X>,
    /// The most pages over all devices, parked ones included.
    limit: AtomicU32,
    parking: Mutex<Parking>,
    /// Tasks that wait until a page is parked.
    on_park: WaitList,
    indexed: Mutex<Slab<OpenedAlloc>>,
}

/// What happened to a page when one of its users released it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It has another local user.
    Used,
    /// The peer still maps it.
    Parked,
    /// It was freed.
    Freed,
}

impl<X: Platform> GntAlloc<X> {
    /// Creates the service with no open device. `limit` is the most pages over all devices.
    pub(crate) fn new(xen: &X, table: GrantTable<X>, events: Events<X>, limit: u32) -> Self {
        Self(Arc::new(GntAllocService {
            xen: xen.clone(),
            table,
            events,
            limit: AtomicU32::new(limit),
            parking: Mutex::new(Parking::new()),
            on_park: WaitList::new(),
            indexed: Mutex::new(Slab::new()),
        }))
    }

    /// Returns the most pages that all devices together may grant at a time, parked ones included.
    pub fn limit(&self) -> u32 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit. If it is lowered, pages beyond it stay, but new ones are refused.
    pub fn set_limit(&self, pages: u32) {
        self.0.limit.store(pages, Ordering::Relaxed);
    }

    /// Returns how many pages are granted now, parked ones included.
    pub fn in_use(&self) -> u32 {
        self.0.table.in_use()
    }

    /// Returns how many pages are parked.
    pub fn parked(&self) -> u32 {
        self.0.parking.lock().pages()
    }

    /// Waits until there is a parked page.
    pub(crate) fn wait_parked(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            // Register first, so that a page parked after the look isn't missed.
            self.0.on_park.register(cx.waker());
            if self.parked() > 0 { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Tries to free at most `max` parked pages, longest parked first. Returns how many it freed.
    pub fn reap(&self, max: u32) -> u32 {
        let end = |granted| self.0.table.end(granted).map(|page| pages::free(&self.0.xen, page));
        self.0.parking.lock().retry(max, end)
    }

    /// Calls `see` for every page that is charged to the limit, in order of references.
    pub fn for_each(&self, see: impl FnMut(GrantInfo)) {
        self.0.table.for_each(see);
    }

    /// Allocates zeroed pages and grants them, all or none. `parts` is in how many pieces they may
    /// be released.
    ///
    /// # Errors
    /// ENOSPC beyond the limit, then if the grant table is full; ENOMEM.
    fn grant_run(
        &self,
        peer: DomId,
        count: Pages,
        access: Access,
        parts: Pages,
    ) -> Result<Few<Granted>, Error> {
        self.admit(count)?;
        let mut run = Few::with_room(count.0 as usize)?;
        self.0.parking.lock().make_room(parts.0)?;
        while let Err(error) = self.0.table.grant_run(peer, access, &mut run, count.0) {
            if self.reap(u32::MAX) == 0 {
                // A peer that guessed a reference may already map its page, which is then parked.
                self.let_go(run);
                self.0.parking.lock().give_room(parts.0 - 1);
                return Err(error);
            }
        }
        Ok(run)
    }

    /// Checks that `count` more pages may be granted, reaping parked pages if necessary.
    fn admit(&self, count: Pages) -> Result<(), Error> {
        let admitted = self.0.table.make_room(count.0, self.limit());
        if admitted.is_err() && self.reap(u32::MAX) > 0 {
            return self.0.table.make_room(count.0, self.limit());
        }
        admitted
    }

    /// Releases a run, for which there is room to park one piece: fires its notices, frees its pages,
    /// and parks those that the peer maps. Returns how many are parked.
    fn let_go(&self, mut run: Few<Granted>) -> u32 {
        self.0.table.end_run(&mut run);
        let parked = run.len() as u32;
        run.iter().for_each(|granted| self.0.table.mark_parked(granted));
        self.park(Parked::run(run));
        parked
    }

    /// Fires the notices of a run whose grants are all suspended, and frees its pages.
    fn free_run(&self, mut run: Few<Granted>) {
        self.0.table.free_suspended(&mut run);
        self.0.parking.lock().give_room(1);
    }

    /// Releases one page, like [`GntAlloc::let_go`].
    fn let_page_go(&self, granted: Granted) -> Left {
        match self.0.table.end(granted) {
            Ok(page) => {
                pages::free(&self.0.xen, page);
                self.0.parking.lock().give_room(1);
                Left::Freed
            }
            Err(granted) => {
                self.0.table.mark_parked(&granted);
                self.park(Parked::Page(granted));
                Left::Parked
            }
        }
    }

    /// Parks a piece, for which there is room, and wakes the tasks that reap.
    fn park(&self, parked: Parked) {
        let kept = self.0.parking.lock().park(parked);
        if kept {
            self.0.on_park.wake();
        }
    }
}

impl<X: Platform> Clone for GntAlloc<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
