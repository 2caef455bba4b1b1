//! gntdev: maps pages that other domains have granted.
//!
//! The service behind `/dev/xen/gntdev` (seed: gntdev 2007), by plain indices as the seed has
//! them; [`Reservation`] and [`Mapping`] are the same with the rules in their types. References
//! are first reserved in a handle's index space, which checks nothing about them, and then mapped
//! by runs of indices: one hypercall for a run, all of it or none.
//!
//! The seed's free list, its unchecked indices and its half-done batches (bugs GD1 to GD11) can't
//! arise: see `table` for the index space and the window for what is mapped.

mod address;
mod copy;
mod table;
mod typed;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use spin::Mutex;

pub use self::copy::{CopyEnd, Segment};
use self::table::Table;
pub use self::table::Usage;
pub use self::typed::{Failed, MapAccess, Mapping, ReadOnly, ReadWrite, Reservation};
use crate::events::Events;
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::UnmapNotify;
use crate::{Access, Errno, Error, ForeignGrant};

/// The largest index space that a handle can have, in grants: Xen's default maptrack table.
const MAX_LIMIT: u32 = 1 << 18;

/// The service. A handle on it: clones are the same service.
#[derive(Debug)]
pub struct GntDev<X: Platform>(Arc<Service<X>>);

#[derive(Debug)]
struct Service<X: Platform> {
    xen: X,
    events: Events<X>,
    limit: AtomicU32,
    /// By number. Kept here, since an `Arc` for each can't be had without a panic for want of
    /// memory.
    handles: Mutex<Vec<Opened<X>>>,
}

/// An opened device, or a number that is free.
#[derive(Debug)]
struct Opened<X: Platform> {
    /// Values that keep it open.
    holders: u64,
    /// `None` once it's closed.
    table: Option<Table<X>>,
}

impl<X: Platform> GntDev<X> {
    /// A service without handles. `limit`: grants per handle, its index space, at most 2^18.
    pub fn new(xen: &X, events: Events<X>, limit: u32) -> Self {
        let (limit, handles) = (AtomicU32::new(limit.min(MAX_LIMIT)), Mutex::new(Vec::new()));
        Self(Arc::new(Service { xen: xen.clone(), events, limit, handles }))
    }

    /// A new handle, with an index space of its own.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(&self) -> Result<Handle<X>, Error> {
        let handles = &mut *self.0.handles.lock();
        let free = handles.iter().position(|handle| handle.table.is_none());
        let number = free.unwrap_or(handles.len());
        if free.is_none() {
            handles.try_reserve(1).map_err(|_| Error::NO_MEMORY)?;
        }
        let table = Some(Table::new(&self.0.xen, self.limit())?);
        let opened = Opened { holders: 1, table };
        match handles.get_mut(number) {
            Some(handle) => *handle = opened,
            None => handles.push(opened),
        }
        Ok(Handle { service: self.clone(), number })
    }

    /// Grants per handle that is opened from now on.
    pub fn limit(&self) -> u32 {
        self.0.limit.load(Ordering::Relaxed)
    }

    /// Changes the limit, for handles opened from now on.
    ///
    /// # Errors
    /// EINVAL for 0 or more than 2^18.
    pub fn set_limit(&self, grants: u32) -> Result<(), Error> {
        check_limit(grants)?;
        self.0.limit.store(grants, Ordering::Relaxed);
        Ok(())
    }

    /// What is in use over all handles.
    pub fn usage(&self) -> Usage {
        let mut total = Usage::default();
        self.for_each(|table| {
            let usage = table.usage();
            total.reserved += usage.reserved;
            total.mapped += usage.mapped;
            total.stuck += usage.stuck;
        });
        total
    }

    /// For a guest that is about to end by a fault of its own: fires every notification, as if
    /// everything were unmapped. Unmaps nothing, and passes over what the fault has interrupted.
    pub fn last_words(&self) {
        if let Some(handles) = self.0.handles.try_lock() {
            handles.iter().filter_map(|handle| handle.table.as_ref()).for_each(Table::fire_all);
        }
    }

    /// Tries again to unmap what Xen would not.
    pub fn retry_stuck(&self) {
        self.for_each(Table::retry_stuck);
    }

    fn for_each(&self, see: impl FnMut(&mut Table<X>)) {
        self.0.handles.lock().iter_mut().filter_map(|handle| handle.table.as_mut()).for_each(see);
    }
}

impl<X: Platform> Clone for GntDev<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// An opened device: an index space, and what is reserved and mapped in it.
///
/// Closing is dropping the last of the handle, its clones, its [`Reservation`]s and its
/// [`Mapping`]s: live mappings pin it. Indices count bytes, 4096 to a grant.
#[derive(Debug)]
pub struct Handle<X: Platform> {
    service: GntDev<X>,
    number: usize,
}

impl<X: Platform> Handle<X> {
    /// MAP_GRANT_REF: reserves a run of indices for references of any domains, repeated ones
    /// included. Returns the index of the first. Whether they exist shows when they are mapped.
    ///
    /// # Errors
    /// EINVAL for no references, ENOMEM for more than the index space has room for. Nothing
    /// changes then.
    pub fn map_grant_ref(&self, grants: &[ForeignGrant]) -> Result<u64, Error> {
        self.insert_run(grants).map(|(first, _)| u64::from(first) * BYTES)
    }

    fn insert_run(&self, grants: &[ForeignGrant]) -> Result<(u32, table::Ticket), Error> {
        if grants.is_empty() {
            return Err(Error::Invalid(Errno::EINVAL, "at least 1 reference can be reserved"));
        }
        self.with(|table| table.insert(grants))
    }

    /// UNMAP_GRANT_REF: removes `count` indices from `index` on, of one reservation or of several.
    ///
    /// # Errors
    /// EINVAL for an index that is not reserved, EBUSY for one that is mapped. Nothing changes
    /// then. For no indices it succeeds.
    pub fn unmap_grant_ref(&self, index: u64, count: u32) -> Result<(), Error> {
        if count == 0 {
            return Ok(());
        }
        let run = page_run(index, count)
            .ok_or(Error::Invalid(Errno::EINVAL, "outside the handle's index space"))?;
        self.with(|table| table.remove(run))
    }

    /// mmap: maps `count` reserved indices from `index` on with one hypercall, all or none.
    /// `shared` is false for a private mapping, which can't be writable.
    ///
    /// # Errors
    /// In this order: ENXIO for no pages or outside the index space; EINVAL for private and
    /// writable; EINVAL for an index that is not reserved or is mapped; EINVAL where Xen refuses,
    /// or ENOMEM for its status no_space. The reservation stays usable.
    pub fn mmap<A: MapAccess>(
        &self,
        index: u64,
        count: u32,
        shared: bool,
    ) -> Result<Mapping<X, A>, Error> {
        let run = self.map_run(index, count, shared, A::ACCESS)?;
        Ok(Mapping::new(self.clone(), run, None))
    }

    fn map_run(
        &self,
        index: u64,
        count: u32,
        shared: bool,
        access: Access,
    ) -> Result<Range<u32>, Error> {
        self.with(|table| {
            let run = page_run(index, count)
                .filter(|run| !run.is_empty() && run.end <= table.limit())
                .ok_or(Error::Invalid(Errno::ENXIO, "no pages, or outside the index space"))?;
            if !shared && access == Access::ReadWrite {
                return Err(Error::Invalid(Errno::EINVAL, "a writable mapping must be shared"));
            }
            table.map(run.clone(), None, access)?;
            Ok(run)
        })
    }

    /// GET_OFFSET_FOR_VADDR: the index and the number of pages of the mapping at `addr`.
    ///
    /// # Errors
    /// EFAULT if no mapping is there, EINVAL inside one but not at its start, and for a mapping of
    /// another handle.
    pub fn get_offset_for_vaddr(&self, addr: usize) -> Result<(u64, u32), Error> {
        if let Some((index, count, start)) = self.with(|table| table.mapping_at(addr)) {
            if addr != start {
                return Err(Error::Invalid(Errno::EINVAL, "inside a mapping, not at its start"));
            }
            return Ok((u64::from(index) * BYTES, count));
        }
        let mut elsewhere = false;
        self.service.for_each(|table| elsewhere |= table.mapping_at(addr).is_some());
        Err(if elsewhere {
            Error::Invalid(Errno::EINVAL, "a mapping of another handle")
        } else {
            Error::Invalid(Errno::EFAULT, "no mapping is there")
        })
    }

    /// SET_MAX_GRANTS: lowers or raises the handle's limit, at most to 2^18.
    ///
    /// # Errors
    /// EBUSY once anything is reserved, EINVAL for 0 or too many, ENOMEM.
    pub fn set_max_grants(&self, grants: u32) -> Result<(), Error> {
        self.with(|table| {
            if table.usage().reserved > 0 {
                return Err(Error::Invalid(Errno::EBUSY, "grants are reserved in this handle"));
            }
            check_limit(grants)?;
            *table = Table::new(&self.service.0.xen, grants)?;
            Ok(())
        })
    }

    /// SET_UNMAP_NOTIFY, for the reservation that byte `index` lies in: the byte is cleared when
    /// its page is unmapped, the event is sent when nothing of the reservation is left. A later
    /// call replaces an earlier one; each fires once.
    ///
    /// # Errors
    /// EINVAL for an unknown action, EINVAL for an event on a port that is not open, ENOENT if
    /// nothing is reserved there, EINVAL for a byte of a page that is mapped read-only.
    pub fn set_unmap_notify(&self, index: u64, notify: UnmapNotify) -> Result<(), Error> {
        notify.check_action()?;
        let event = notify.hold_port(&self.service.0.events)?;
        let page = u32::try_from(index / BYTES).unwrap_or(u32::MAX);
        let byte = notify.clears_byte().then_some(index as usize);
        self.with(|table| table.set_notify(page, byte, event))
    }

    /// What is in use in this handle.
    pub fn usage(&self) -> Usage {
        self.with(|table| table.usage())
    }

    /// Looks at the handle's index space, alone.
    fn with<R>(&self, look: impl FnOnce(&mut Table<X>) -> R) -> R {
        let handles = &mut *self.service.0.handles.lock();
        look(handles[self.number].table.as_mut().expect("open as long as anybody holds it"))
    }
}

impl<X: Platform> Clone for Handle<X> {
    fn clone(&self) -> Self {
        self.service.0.handles.lock()[self.number].holders += 1;
        Self { service: self.service.clone(), number: self.number }
    }
}

impl<X: Platform> Drop for Handle<X> {
    fn drop(&mut self) {
        let handles = &mut *self.service.0.handles.lock();
        let opened = &mut handles[self.number];
        opened.holders -= 1;
        if opened.holders == 0 {
            // The table's own drop unmaps everything and tells whom it has to tell.
            opened.table = None;
        }
    }
}

/// The pages of a run of bytes; `None` for an index that is not a page's or wraps.
fn page_run(index: u64, count: u32) -> Option<Range<u32>> {
    let first = u32::try_from(index / BYTES).ok().filter(|_| index.is_multiple_of(BYTES))?;
    Some(first..first.checked_add(count)?)
}

fn check_limit(grants: u32) -> Result<(), Error> {
    if (1..=MAX_LIMIT).contains(&grants) {
        return Ok(());
    }
    Err(Error::Invalid(Errno::EINVAL, "a handle has room for 1 to 262144 grants"))
}

/// Bytes of index space that a grant takes.
const BYTES: u64 = PAGE_SIZE as u64;
