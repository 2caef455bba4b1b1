//! What the checks stand on: handles with room, and counts from before.

use alloc::vec::Vec;

use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, Reservation};
use drivers::memory::Platform;
use drivers::{Access, Call, Error, ForeignGrant, Services, gntalloc, gntdev};

use crate::verdict::InUse;
pub(super) use crate::verdict::{Verdict, Why, equal};

/// Most pages that a check grants or maps at once.
const ROOM: u32 = 160;

/// A granter and a mapper in one domain.
#[derive(Debug)]
pub(crate) struct Rig<'a, X: Platform> {
    pub(crate) services: &'a Services<X>,
    pub(crate) gntalloc: gntalloc::Handle<X>,
    pub(crate) gntdev: gntdev::Handle<X>,
    /// The limit to be set again.
    limit: u32,
    before: InUse,
}

impl<'a, X: Platform> Rig<'a, X> {
    /// Opens both devices, and does once what is done only the first time: the grant table grows,
    /// page tables for mappings are made.
    pub(crate) fn new(services: &'a Services<X>) -> Result<Self, Why> {
        let gntdev = services.gntdev.open()?;
        if services.gntdev.limit() < ROOM {
            gntdev.set_max_grants(ROOM)?;
        }
        let mut rig = Self {
            services,
            gntalloc: services.gntalloc.open()?,
            gntdev,
            limit: services.gntalloc.limit(),
            before: InUse::of(services),
        };
        rig.make_room();
        let export = rig.share(64, Access::ReadWrite)?;
        let grants = [rig.grant(&export, 0)?; ROOM as usize];
        drop(rig.gntdev.insert(&grants)?);
        export.end()?;
        rig.before = InUse::of(services);
        Ok(rig)
    }

    /// Sets a limit that no check meets by accident.
    fn make_room(&self) {
        let room = self.charged().saturating_add(ROOM);
        self.services.gntalloc.set_limit(room.max(self.limit));
    }

    /// Pages that are charged to the limit.
    pub(crate) fn charged(&self) -> u32 {
        let mut pages = 0;
        self.services.gntalloc.for_each(|_| pages += 1);
        pages
    }

    /// Pages granted to ourselves.
    pub(crate) fn share(&self, pages: u32, access: Access) -> Result<Export<X>, Error> {
        self.gntalloc.alloc(self.services.domid, pages, access)
    }

    /// One of them as it's announced to a mapper.
    pub(crate) fn grant(&self, export: &Export<X>, page: usize) -> Result<ForeignGrant, Why> {
        let gref = export.grefs().nth(page);
        let gref = gref.ok_or_else(|| Why::new(format_args!("page {page} has no reference")))?;
        Ok(ForeignGrant { domid: self.services.domid.get(), gref })
    }

    /// All of them.
    pub(crate) fn grants(&self, export: &Export<X>) -> Result<Vec<ForeignGrant>, Why> {
        let mut grants = Vec::new();
        grants.try_reserve_exact(export.pages() as usize).map_err(|_| Error::NO_MEMORY)?;
        let domid = self.services.domid.get();
        grants.extend(export.grefs().map(|gref| ForeignGrant { domid, gref }));
        Ok(grants)
    }

    pub(crate) fn reserve(&self, export: &Export<X>) -> Result<Reservation<X>, Why> {
        Ok(self.gntdev.insert(&self.grants(export)?)?)
    }

    pub(crate) fn map<A: MapAccess>(&self, export: &Export<X>) -> Result<Mapping<X, A>, Why> {
        Ok(self.reserve(export)?.map()?)
    }

    /// Hypercalls that `act` makes: those of one kind, and all.
    pub(crate) fn count<R>(&self, call: Call, act: impl FnOnce() -> R) -> (R, [u64; 2]) {
        let counters = self.services.xen.counters();
        let read = || [counters.calls(call), counters.hypercalls()];
        let before = read();
        let result = act();
        let after = read();
        (result, [after[0] - before[0], after[1] - before[1]])
    }

    /// After each check: what a failed one dropped while it was mapped comes back.
    pub(crate) fn clean_up(&self) {
        self.make_room();
        self.services.gntalloc.reap(u32::MAX);
        self.services.gntdev.retry_stuck();
    }

    /// The last check: whether all is as it was.
    pub(crate) fn finish(self) -> Verdict {
        self.clean_up();
        let (before, after) = (self.before, InUse::of(self.services));
        if after.is_within(&before) {
            return Ok(());
        }
        Err(Why::new(format_args!("{after:?}, and before {before:?}")))
    }
}

impl<X: Platform> Drop for Rig<'_, X> {
    fn drop(&mut self) {
        self.services.gntalloc.set_limit(self.limit);
    }
}
