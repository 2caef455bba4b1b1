//! An opened gntalloc: the calls of the seed's device by plain index, and their errors.

use alloc::sync::Arc;
use core::ops::Range;

use spin::Mutex;

use super::records::{Key, Notify, Records};
use super::{GntAlloc, Left};
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::UnmapNotify;
use crate::{Access, DomId, Errno, Error, GrantRef};

/// `GNTALLOC_FLAG_WRITABLE`: the peer may map the page writable.
pub const FLAG_WRITABLE: u16 = 1;
/// Bytes of index space that a page takes.
pub(super) const BYTES: u64 = PAGE_SIZE as u64;

/// An opened device: an index space, and the pages that were allocated in it.
///
/// Closing is dropping the last of the handle, its clones, its [`Export`]s and its
/// [`LocalMapping`]s. Indices count bytes, 4096 to a page, and are never used twice.
#[derive(Debug)]
pub struct Handle<X: Platform>(pub(super) Arc<Opened<X>>);

#[derive(Debug)]
pub(super) struct Opened<X: Platform> {
    pub(super) service: GntAlloc<X>,
    pub(super) number: u32,
    /// In pages.
    pub(super) next_index: Mutex<u64>,
}

impl<X: Platform> Handle<X> {
    /// ALLOC_GREF: allocates `grefs.len()` zeroed pages and grants them to `domid`. Returns the
    /// index of the first; the others follow. For no pages it succeeds and changes nothing.
    ///
    /// # Errors
    /// EINVAL for a reserved domid or an unknown flag; ENOSPC beyond the limit, then when the
    /// grant table is full; ENOMEM. Nothing is left behind.
    pub fn alloc_gref(&self, domid: u16, flags: u16, grefs: &mut [GrantRef]) -> Result<u64, Error> {
        let peer = DomId::new(domid).ok_or(BAD_DOMID)?;
        let access = match flags {
            0 => Access::ReadOnly,
            FLAG_WRITABLE => Access::ReadWrite,
            _ => {
                return Err(Error::Invalid(Errno::EINVAL, "unknown flag; WRITABLE (1) is known"));
            }
        };
        let count = u32::try_from(grefs.len()).map_err(|_| TOO_MANY)?;
        self.alloc_run(peer, access, count, |i, gref| grefs[i as usize] = gref)
    }

    /// The same for the typed face: `see` is told each page's reference.
    pub(super) fn alloc_run(
        &self,
        peer: DomId,
        access: Access,
        count: u32,
        mut see: impl FnMut(u32, GrantRef),
    ) -> Result<u64, Error> {
        let service = &self.0.service;
        let records = &mut service.0.records.lock();
        let next_index = &mut self.0.next_index.lock();
        let first = **next_index;
        service.admit(records, count)?;
        records.reserve(count as usize)?;
        for i in 0..count {
            let mut record = service.new_record(peer, access);
            if record.is_err() && service.reap_locked(records, u32::MAX) > 0 {
                record = service.new_record(peer, access);
            }
            match record {
                Ok(record) => {
                    see(i, record.gref);
                    records.insert((self.0.number, first + u64::from(i)), record);
                }
                Err(error) => {
                    // A peer that guessed a reference may map it already: then it's parked.
                    for undo in 0..i {
                        self.unlist(records, first + u64::from(undo));
                    }
                    return Err(error);
                }
            }
        }
        **next_index += u64::from(count);
        Ok(first * BYTES)
    }

    /// DEALLOC_GREF: lets go of `count` pages from `index` on. A page that is mapped here or
    /// there is freed once it no longer is.
    ///
    /// # Errors
    /// EINVAL for no pages, an index that is not a page's, or a run with a page that is not
    /// allocated. Nothing changes then.
    pub fn dealloc_gref(&self, index: u64, count: u32) -> Result<(), Error> {
        let records = &mut self.0.service.0.records.lock();
        let run = self.run(records, index, count).ok_or(NOT_ALLOCATED)?;
        for page in run {
            self.unlist(records, page);
        }
        Ok(())
    }

    /// SET_UNMAP_NOTIFY: what is to happen when the last local user lets go of the page that byte
    /// `index` lies in. A later call replaces an earlier one; it fires once, even while the peer
    /// still maps the page.
    ///
    /// # Errors
    /// ENOENT if no page is allocated there, then EINVAL for an unknown action, then EINVAL for
    /// an event on a port that is not open.
    pub fn set_unmap_notify(&self, index: u64, notify: UnmapNotify) -> Result<(), Error> {
        let service = &self.0.service.0;
        let records = &mut service.records.lock();
        let key = (self.0.number, index / BYTES);
        let record = records
            .get_mut(key)
            .filter(|record| record.listed)
            .ok_or(Error::Invalid(Errno::ENOENT, "no page is allocated at that index"))?;
        notify.check_action()?;
        let event = notify.hold_port(&service.events)?;
        let byte = notify.clears_byte().then_some((index % BYTES) as usize);
        record.notify = Some(Notify { byte, event });
        Ok(())
    }

    /// mmap: another local user of `count` pages from `index` on, which are freed no sooner than
    /// it is dropped.
    ///
    /// # Errors
    /// EINVAL unless `shared`, then ENOENT for a run with a page that is not allocated.
    pub fn mmap(&self, index: u64, count: u32, shared: bool) -> Result<LocalMapping<X>, Error> {
        if !shared {
            return Err(Error::Invalid(Errno::EINVAL, "a mapping of gntalloc must be shared"));
        }
        let records = &mut self.0.service.0.records.lock();
        let run = self
            .run(records, index, count)
            .ok_or(Error::Invalid(Errno::ENOENT, "no such pages are allocated"))?;
        for page in run.clone() {
            if let Some(record) = records.get_mut((self.0.number, page)) {
                record.users += 1;
            }
        }
        Ok(LocalMapping { handle: self.clone(), run })
    }

    /// The pages of a run of bytes, if each of them is listed.
    fn run(&self, records: &Records<X>, index: u64, count: u32) -> Option<Range<u64>> {
        let first = index / BYTES;
        let run = first..first.checked_add(u64::from(count))?;
        let valid = count > 0
            && index.is_multiple_of(BYTES)
            && records.all_listed(self.0.number, run.clone());
        valid.then_some(run)
    }

    /// Takes a listed page off the index space.
    pub(super) fn unlist(&self, records: &mut Records<X>, page: u64) -> Left {
        let key = (self.0.number, page);
        if let Some(record) = records.get_mut(key) {
            record.listed = false;
        }
        self.drop_user(records, key)
    }

    fn drop_user(&self, records: &mut Records<X>, key: Key) -> Left {
        match records.drop_user(key) {
            Some(record) => self.0.service.let_go(records, record),
            None => Left::Used,
        }
    }
}

impl<X: Platform> Clone for Handle<X> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<X: Platform> Drop for Opened<X> {
    fn drop(&mut self) {
        let records = &mut self.service.0.records.lock();
        for _ in 0..records.close(self.number) {
            if let Some(record) = records.unpark() {
                self.service.let_go(records, record);
            }
        }
    }
}

/// A local user of some pages of a handle, as mmap makes one. Dropping it is munmap.
#[derive(Debug)]
pub struct LocalMapping<X: Platform> {
    handle: Handle<X>,
    run: Range<u64>,
}

impl<X: Platform> Drop for LocalMapping<X> {
    fn drop(&mut self) {
        let records = &mut self.handle.0.service.0.records.lock();
        for page in self.run.clone() {
            self.handle.drop_user(records, (self.handle.0.number, page));
        }
    }
}

const BAD_DOMID: Error = Error::Invalid(Errno::EINVAL, "a domain's number is below 32752 (0x7ff0)");
const TOO_MANY: Error = Error::Invalid(Errno::ENOSPC, "more pages than an index space has");
pub(super) const NOT_ALLOCATED: Error =
    Error::Invalid(Errno::EINVAL, "no such pages are allocated");
