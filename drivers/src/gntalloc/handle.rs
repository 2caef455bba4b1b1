//! An opened gntalloc: the calls of the seed's device by plain index, and their errors.

use core::ops::Range;

use super::records::{Notify, Records};
use super::{GntAlloc, Left, LocalMapping};
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::UnmapNotify;
use crate::{Access, DomId, Errno, Error, GrantRef};

/// `GNTALLOC_FLAG_WRITABLE`: the peer may map the page writable.
pub const FLAG_WRITABLE: u16 = 1;
/// Bytes of index space that a page takes.
pub(super) const BYTES: u64 = PAGE_SIZE as u64;

/// An opened device: an index space, and the pages that were allocated in it.
///
/// Closing is dropping the last of the handle, its clones, its [`super::Export`]s and
/// its [`LocalMapping`]s. Indices count bytes, 4096 to a page, and are never used twice.
#[derive(Debug)]
pub struct Handle<X: Platform> {
    pub(super) service: GntAlloc<X>,
    pub(super) number: u32,
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
        let service = &self.service;
        let records = &mut service.records();
        let first = *records.next_index(self.number);
        if count == 0 {
            return Ok(first * BYTES);
        }
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
                    records.insert((self.number, first + u64::from(i)), record);
                }
                Err(error) => {
                    // A peer that guessed a reference may map it already: then it's parked.
                    for undo in 0..i {
                        self.unlist(records, first + u64::from(undo));
                    }
                    records.trim();
                    return Err(error);
                }
            }
        }
        *records.next_index(self.number) += u64::from(count);
        Ok(first * BYTES)
    }

    /// DEALLOC_GREF: lets go of `count` pages from `index` on. A page that is mapped here or
    /// there is freed once it no longer is.
    ///
    /// # Errors
    /// EINVAL for no pages, an index that is not a page's, or a run with a page that is not
    /// allocated. Nothing changes then.
    pub fn dealloc_gref(&self, index: u64, count: u32) -> Result<(), Error> {
        let records = &mut self.service.records();
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
        let records = &mut self.service.records();
        let key = (self.number, index / BYTES);
        let record = records
            .get_mut(key)
            .filter(|record| record.listed)
            .ok_or(Error::Invalid(Errno::ENOENT, "no page is allocated at that index"))?;
        notify.check_action()?;
        let event = notify.hold_port(&self.service.0.events)?;
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
        let mut guard = self.service.records();
        let records = &mut *guard;
        let run = self
            .run(records, index, count)
            .ok_or(Error::Invalid(Errno::ENOENT, "no such pages are allocated"))?;
        for page in run.clone() {
            if let Some(record) = records.get_mut((self.number, page)) {
                record.users += 1;
            }
        }
        // The clone counts itself among the records.
        drop(guard);
        Ok(LocalMapping::new(self.clone(), run))
    }

    /// The pages of a run of bytes, if each of them is listed.
    fn run(&self, records: &Records<X>, index: u64, count: u32) -> Option<Range<u64>> {
        let first = index / BYTES;
        let run = first..first.checked_add(u64::from(count))?;
        let valid = count > 0
            && index.is_multiple_of(BYTES)
            && records.all_listed(self.number, run.clone());
        valid.then_some(run)
    }

    /// Takes a listed page off the index space.
    pub(super) fn unlist(&self, records: &mut Records<X>, page: u64) -> Left {
        if let Some(record) = records.get_mut((self.number, page)) {
            record.listed = false;
        }
        self.drop_user(records, page)
    }

    /// One local user of a page less.
    pub(super) fn drop_user(&self, records: &mut Records<X>, page: u64) -> Left {
        match records.drop_user((self.number, page)) {
            Some(record) => self.service.let_go(records, record),
            None => Left::Used,
        }
    }
}

impl<X: Platform> Clone for Handle<X> {
    fn clone(&self) -> Self {
        self.service.records().hold(self.number);
        Self { service: self.service.clone(), number: self.number }
    }
}

impl<X: Platform> Drop for Handle<X> {
    fn drop(&mut self) {
        let records = &mut self.service.records();
        if !records.release(self.number) {
            return;
        }
        for _ in 0..records.close(self.number) {
            if let Some(record) = records.unpark() {
                self.service.let_go(records, record);
            }
        }
    }
}

const BAD_DOMID: Error = Error::Invalid(Errno::EINVAL, "a domain's number is below 32752 (0x7ff0)");
const TOO_MANY: Error = Error::Invalid(Errno::ENOSPC, "more pages than an index space has");
pub(super) const NOT_ALLOCATED: Error =
    Error::Invalid(Errno::EINVAL, "no such pages are allocated");
