// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntdev: maps pages that other domains have granted.
//!
//! The service behind Linux's `/dev/xen/gntdev`, after the gntdev driver of 2007 (its
//! [seed](crate)). References are first reserved, which checks nothing about them, and then mapped:
//! all or none, with one hypercall.
//!
//! It has two APIs: a [`Device`] hands out [`Reservation`]s and [`Mapping`]s, which own their
//! addresses and pages; an [`IndexDevice`] has the seed's own calls, by plain index. They share
//! only the batches of map operations below them.
//!
//! The bugs of the seed's free list, unchecked indices and half-done batches (GD1 to GD11) can't
//! occur: see `table` for the index space, and the module `raw` for mappings.

mod copy;
mod device;
mod held;
mod indexed;
mod table;
mod typed;

use alloc::sync::Arc;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use crate::lock::Mutex;

pub use self::copy::{CopyEnd, Segment};
pub use self::device::Device;
use self::device::Quota;
pub use self::indexed::IndexDevice;
use self::indexed::Opened;
pub use self::typed::{Failed, MapAccess, Mapping, ReadOnly, ReadWrite, Reservation};
use crate::events::Events;
use crate::memory::Platform;
use crate::queue::Queue;
use crate::raw::{Notices, Region, Space};
use crate::slab::Slab;
use crate::waiters::WaitList;
use crate::{DomId, Errno, Error, Pages, System};

/// The highest limit of grants per device: the size of Xen's default maptrack table.
const MAX_LIMIT: u32 = 1 << 18;

/// The gntdev service. Clones refer to the same service.
#[derive(Debug)]
pub struct GntDev<X: Platform>(Arc<GntDevService<X>>);

#[derive(Debug)]
struct GntDevService<X: Platform> {
    xen: X,
    events: Events<X>,
    own: DomId,
    /// The limit of grants for newly opened devices.
    limit: AtomicU32,
    /// The addresses of all reservations.
    space: Arc<Space<X>>,
    /// The number of pages in typed mappings.
    mapped: AtomicU32,
    /// The number of pages that failed maps left mapped in live reservations.
    left: AtomicU32,
    /// The number of regions in `books.stuck`, to look at without the lock.
    stuck_regions: AtomicU32,
    books: Mutex<Books<X>>,
    /// Tasks that wait until a page is stuck.
    on_stuck: WaitList,
}

/// A region with pages that Xen refused to unmap, and the device that it is charged to.
#[derive(Debug)]
struct Stuck<X: Platform> {
    region: Region<X>,
    device: u32,
}

/// All open devices and reservations.
#[derive(Debug)]
struct Books<X: Platform> {
    devices: Slab<Quota>,
    indexed: Slab<Opened<X>>,
    /// The number of live regions, stuck ones included.
    regions: usize,
    /// Regions that nobody holds any more, with pages that Xen refused to unmap. Has room for every
    /// live region, so keeping one can't fail. In the order in which they are tried again.
    stuck: Queue<Stuck<X>>,
}

/// How much is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Reserved references, mapped ones included.
    pub reserved: u32,
    /// Mapped pages.
    pub mapped: u32,
    /// *Stuck* pages: still mapped because Xen refused to unmap them. Those that a failed
    /// [`Reservation::map`] left in a reservation are retried when it is mapped or dropped; all
    /// others by [`Services::upkeep`](crate::Services::upkeep).
    pub stuck: u32,
}

impl<X: Platform> GntDev<X> {
    /// Creates the service of domain `own` with no open device. `limit` is the most grants per
    /// device, itself at most 2^18.
    pub(crate) fn new(
        xen: &X,
        own: DomId,
        events: Events<X>,
        notices: Arc<Notices<X>>,
        limit: u32,
    ) -> Self {
        let (devices, indexed) = (Slab::new(), Slab::new());
        Self(Arc::new(GntDevService {
            xen: xen.clone(),
            events,
            own,
            limit: AtomicU32::new(limit.min(MAX_LIMIT)),
            space: Arc::new(Space::new(xen, own, notices)),
            mapped: AtomicU32::new(0),
            left: AtomicU32::new(0),
            stuck_regions: AtomicU32::new(0),
            books: Mutex::new(Books { devices, indexed, regions: 0, stuck: Queue::new() }),
            on_stuck: WaitList::new(),
        }))
    }

    /// Returns the most grants that a newly opened device may hold.
    pub fn limit(&self) -> u32 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit for devices opened from now on.
    ///
    /// # Errors
    /// EINVAL for 0 or more than 2^18.
    pub fn set_limit(&self, grants: u32) -> Result<(), Error> {
        check_limit(grants)?;
        self.0.limit.store(grants, Ordering::Relaxed);
        Ok(())
    }

    /// Returns how much is in use over all devices.
    pub fn usage(&self) -> Usage {
        let mut total = self.usage_to_retry();
        total.stuck += self.0.left.load(Ordering::Relaxed);
        total
    }

    /// Returns how much is in use, without the stuck pages that only their holder can retry.
    fn usage_to_retry(&self) -> Usage {
        let books = &mut *self.0.books.lock();
        let mapped = self.0.mapped.load(Ordering::Relaxed);
        let stuck = books.stuck.iter().map(|stuck| stuck.region.mapped()).sum();
        let mut total = Usage { reserved: 0, mapped, stuck };
        total.reserved = books.devices.iter_mut().map(|(_, quota)| quota.reserved).sum();
        for (_, opened) in books.indexed.iter_mut() {
            let usage = opened.table.usage();
            total.reserved += usage.reserved;
            total.mapped += usage.mapped;
            total.stuck += usage.stuck;
        }
        total
    }

    /// Returns the harmless part of Xen.
    pub fn system(&self) -> System<X> {
        System(self.0.xen.clone())
    }

    /// Fires every notification of the index devices as if everything were unmapped, for a guest
    /// that is about to end because of its own fault. Unmaps nothing, and does nothing if the fault
    /// interrupted a holder of the lock.
    pub(crate) fn last_words(&self) {
        if let Some(mut books) = self.0.books.try_lock() {
            books.indexed.iter_mut().for_each(|(_, opened)| opened.table.fire_all());
        }
    }

    /// Retries all refused unmaps, of all devices.
    pub fn retry_stuck(&self) {
        self.0.books.lock().indexed.iter_mut().for_each(|(_, opened)| opened.table.retry_stuck());
        loop {
            // Take it out of the books before dropping it.
            let over = self.0.books.lock().take_over();
            if over.is_none() {
                break;
            }
        }
        self.retry_regions();
    }

    /// Waits until Xen has refused to unmap a page.
    pub(crate) fn wait_stuck(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            // Register first, so that a page that gets stuck after the look isn't missed.
            self.0.on_stuck.register(cx.waker());
            let stuck = self.usage_to_retry().stuck > 0;
            if stuck { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Wakes the tasks that retry, since a page is stuck.
    fn tell_stuck(&self) {
        self.0.on_stuck.wake();
    }

    /// Retries refused unmaps of regions only, as each call of a typed device does first.
    #[inline]
    fn retry_regions(&self) {
        let tries = self.0.stuck_regions.load(Ordering::Relaxed);
        if tries > 0 {
            self.retry_some(tries);
        }
    }

    #[cold]
    fn retry_some(&self, tries: u32) {
        for _ in 0..tries {
            // Take it out of the books first: dropping a region sends its event.
            let Some(mut stuck) = self.0.books.lock().stuck.pop() else {
                return;
            };
            self.0.stuck_regions.fetch_sub(1, Ordering::Relaxed);
            self.let_go(&mut stuck.region, stuck.device);
        }
    }

    /// Adds pages to the count of typed mappings, or removes them.
    fn count_mapped(&self, pages: Pages, mapped: bool) {
        let count = &self.0.mapped;
        let _ = if mapped {
            count.fetch_add(pages.0, Ordering::Relaxed)
        } else {
            count.fetch_sub(pages.0, Ordering::Relaxed)
        };
    }

    /// Changes the count of pages left mapped in a reservation from `before` to `now`.
    fn count_left(&self, before: u32, now: u32) {
        self.0.left.fetch_sub(before, Ordering::Relaxed);
        self.0.left.fetch_add(now, Ordering::Relaxed);
    }

    /// Drops a region that nobody holds, or keeps it until Xen unmaps its pages.
    fn let_go(&self, region: &mut Region<X>, device: u32) {
        let _ = region.unmap();
        if region.has_rest() {
            let stuck = Stuck { region: region.take(), device };
            self.0.stuck_regions.fetch_add(1, Ordering::Relaxed);
            self.0.books.lock().stuck.push(stuck);
            return self.tell_stuck();
        }
        let pages = region.pages().0;
        region.close();
        self.0.books.lock().release_region(device, pages);
    }
}

impl<X: Platform> Clone for GntDev<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn check_limit(grants: u32) -> Result<(), Error> {
    if (1..=MAX_LIMIT).contains(&grants) {
        return Ok(());
    }
    Err(Error::Local(Errno::EINVAL, &"a device has room for 1 to 262144 grants"))
}
