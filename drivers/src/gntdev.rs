// SPDX-License-Identifier: MIT OR Apache-2.0
//! gntdev: maps pages that other domains have granted.
//!
//! The service behind `/dev/xen/gntdev` (seed: gntdev 2007), with two faces. References are first
//! reserved, which checks nothing about them, and then mapped: one hypercall for all, and all of
//! them or none. A [`Device`] hands out [`Reservation`]s and [`Mapping`]s, which own what they are;
//! an [`IndexDevice`] has the seed's own calls by plain index. The two share the batches of map
//! operations below them and nothing else.
//!
//! The seed's free list, its unchecked indices and its half-done batches (bugs GD1 to GD11) can't
//! arise: see `table` for the index space, and the module `raw` for what is mapped.

mod copy;
mod device;
mod held;
mod indexed;
mod table;
mod typed;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Poll;

use spin::Mutex;

pub use self::copy::{CopyEnd, Segment};
pub use self::device::Device;
use self::device::Quota;
pub use self::indexed::IndexDevice;
use self::indexed::Opened;
pub use self::typed::{Failed, MapAccess, Mapping, ReadOnly, ReadWrite, Reservation};
use crate::events::Events;
use crate::memory::Platform;
use crate::raw::{Notices, Region, Space};
use crate::slab::Slab;
use crate::waiters::WaitList;
use crate::{DomId, Errno, Error, Pages, System};

/// The most grants that a device can have room for: Xen's default maptrack table.
const MAX_LIMIT: u32 = 1 << 18;

/// The service. Clones are the same service.
#[derive(Debug)]
pub struct GntDev<X: Platform>(Arc<GntDevService<X>>);

#[derive(Debug)]
struct GntDevService<X: Platform> {
    xen: X,
    events: Events<X>,
    own: DomId,
    /// Grants that a device has room for when it is opened.
    limit: AtomicU32,
    /// Addresses of all reservations.
    space: Arc<Space<X>>,
    /// Pages mapped by typed mappings.
    mapped: AtomicU32,
    /// Pages that a failed map left mapped in reservations that somebody holds.
    left: AtomicU32,
    books: Mutex<Books<X>>,
    /// Who waits until a page is stuck.
    on_stuck: WaitList,
}

/// What is opened and reserved.
#[derive(Debug)]
struct Books<X: Platform> {
    devices: Slab<Quota>,
    indexed: Slab<Opened<X>>,
    /// Regions that live, stuck ones included.
    regions: usize,
    /// Regions that nobody holds any more, with pages that Xen would not unmap. Has room for every
    /// region that lives.
    stuck: Vec<Stuck<X>>,
}

/// A region with pages that Xen would not unmap, and the device that it is charged to.
#[derive(Debug)]
struct Stuck<X: Platform> {
    region: Region<X>,
    device: u32,
}

/// What is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// References that are reserved, mapped ones included.
    pub reserved: u32,
    /// Pages that are mapped.
    pub mapped: u32,
    /// Pages that Xen would not unmap, mapped still. Those that a failed [`Reservation::map`] left
    /// in a reservation are tried again when that is mapped or dropped; all others by the upkeep.
    pub stuck: u32,
}

impl<X: Platform> GntDev<X> {
    /// The service of domain `own` with nothing opened. `limit`: grants per device, at most 2^18.
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
            books: Mutex::new(Books { devices, indexed, regions: 0, stuck: Vec::new() }),
            on_stuck: WaitList::new(),
        }))
    }

    /// Grants that each device has room for that is opened from now on.
    pub fn limit(&self) -> u32 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit, for devices opened from now on.
    ///
    /// # Errors
    /// EINVAL for 0 or more than 2^18.
    pub fn set_limit(&self, grants: u32) -> Result<(), Error> {
        check_limit(grants)?;
        self.0.limit.store(grants, Ordering::Relaxed);
        Ok(())
    }

    /// What is in use over all devices.
    pub fn usage(&self) -> Usage {
        let mut total = self.usage_to_retry();
        total.stuck += self.0.left.load(Ordering::Relaxed);
        total
    }

    /// What is in use, apart from what only its holder can try to unmap again.
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

    /// The harmless part of the Xen below.
    pub fn system(&self) -> System<X> {
        System(self.0.xen.clone())
    }

    /// For a guest that is about to end by a fault of its own: fires every notification of the
    /// devices by index, as if everything were unmapped. Unmaps nothing, and passes over what the
    /// fault has interrupted.
    pub(crate) fn last_words(&self) {
        if let Some(mut books) = self.0.books.try_lock() {
            books.indexed.iter_mut().for_each(|(_, opened)| opened.table.fire_all());
        }
    }

    /// Tries again to unmap what Xen would not, of all devices.
    pub fn retry_stuck(&self) {
        self.0.books.lock().indexed.iter_mut().for_each(|(_, opened)| opened.table.retry_stuck());
        loop {
            // Out of the books before it is dropped.
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
            // First, so that a page that gets stuck after the look is heard of.
            self.0.on_stuck.register(cx.waker());
            let stuck = self.usage_to_retry().stuck > 0;
            if stuck { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// A page is stuck: somebody has to try again.
    fn tell_stuck(&self) {
        self.0.on_stuck.wake();
    }

    /// The same for regions alone: what a call of a typed device does first.
    fn retry_regions(&self) {
        let tries = self.0.books.lock().stuck.len();
        for _ in 0..tries {
            // Out of the books first: a region that goes sends its event.
            let Some(Stuck { region, device }) = self.0.books.lock().stuck.pop() else {
                return;
            };
            self.let_go(region, device);
        }
    }

    /// Counts pages that are mapped by typed mappings from now on, or no more.
    fn count_mapped(&self, pages: Pages, mapped: bool) {
        let count = &self.0.mapped;
        let _ = if mapped {
            count.fetch_add(pages.0, Ordering::Relaxed)
        } else {
            count.fetch_sub(pages.0, Ordering::Relaxed)
        };
    }

    /// Counts pages that are left mapped in a reservation: `now` instead of `before`.
    fn count_left(&self, before: u32, now: u32) {
        self.0.left.fetch_sub(before, Ordering::Relaxed);
        self.0.left.fetch_add(now, Ordering::Relaxed);
    }

    /// The end of a region that nobody holds: it goes, or is kept until Xen unmaps its pages.
    fn let_go(&self, mut region: Region<X>, device: u32) {
        let pages = region.pages().0;
        let _ = region.unmap();
        if region.mapped() > 0 {
            // Never the one that the next try takes first: all get their turn.
            self.0.books.lock().stuck.insert(0, Stuck { region, device });
            return self.tell_stuck();
        }
        drop(region);
        let books = &mut *self.0.books.lock();
        books.release_region(device, pages);
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
    Err(Error::Local(Errno::EINVAL, "a device has room for 1 to 262144 grants"))
}
