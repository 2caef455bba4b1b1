// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks' fixture: open devices, and the counts from before.

use alloc::vec::Vec;

use drivers::gntalloc::Export;
use drivers::gntdev::{MapAccess, Mapping, Reservation};
use drivers::memory::Platform;
use drivers::{Access, Call, ClaimedGrant, Error, Pages, Services, gntalloc, gntdev, list};

use crate::verdict::InUse;
pub(super) use crate::verdict::{Verdict, Why, same};

/// Maximum number of pages that a check grants or maps at once.
const ROOM: u32 = 160;

/// A granter and a mapper in one domain.
#[derive(Debug)]
pub(crate) struct Fixture<'a, X: Platform> {
    pub(crate) services: &'a Services<X>,
    pub(crate) gntalloc: gntalloc::Device<X>,
    pub(crate) gntdev: gntdev::Device<X>,
    /// gntalloc's previous limit, restored afterwards.
    limit: u32,
    before: InUse,
}

impl<'a, X: Platform> Fixture<'a, X> {
    /// Opens both devices. Makes the grant table grow and page tables exist, which happens only
    /// once and must not count as left behind.
    pub(crate) fn new(services: &'a Services<X>) -> Result<Self, Why> {
        let gntdev = services.gntdev.open()?;
        if services.gntdev.limit() < ROOM {
            gntdev.set_max_grants(ROOM)?;
        }
        let mut fixture = Self {
            services,
            gntalloc: services.gntalloc.open(),
            gntdev,
            limit: services.gntalloc.limit(),
            before: InUse::of(services),
        };
        fixture.make_room();
        let export = fixture.share(64, Access::ReadWrite)?;
        let grants = [fixture.grant(&export, 0)?; ROOM as usize];
        drop(fixture.gntdev.reserve(&grants)?);
        export.end()?;
        fixture.before = InUse::of(services);
        Ok(fixture)
    }

    /// Raises the limit so that no check reaches it by accident.
    fn make_room(&self) {
        let room = self.charged().saturating_add(ROOM);
        self.services.gntalloc.set_limit(room.max(self.limit));
    }

    /// Pages that count towards the limit.
    pub(crate) fn charged(&self) -> u32 {
        let mut pages = 0;
        self.services.gntalloc.for_each(|_| pages += 1);
        pages
    }

    /// Pages granted to ourselves.
    pub(crate) fn share(&self, pages: u32, access: Access) -> Result<Export<X>, Error> {
        self.gntalloc.alloc(self.services.domid, Pages(pages), access)
    }

    /// The claim for one page of an export.
    pub(crate) fn grant(&self, export: &Export<X>, page: usize) -> Result<ClaimedGrant, Why> {
        let gref = export.grefs().nth(page);
        let gref = gref.ok_or_else(|| Why::new(format_args!("page {page} has no reference")))?;
        Ok(self.services.domid.grant(gref))
    }

    /// The claims for all its pages.
    pub(crate) fn grants(&self, export: &Export<X>) -> Result<Vec<ClaimedGrant>, Why> {
        let mut grants = Vec::new();
        list::extend(&mut grants, export.grefs().map(|gref| self.services.domid.grant(gref)))?;
        Ok(grants)
    }

    pub(crate) fn reserve(&self, export: &Export<X>) -> Result<Reservation<X>, Why> {
        Ok(self.gntdev.reserve(&self.grants(export)?)?)
    }

    pub(crate) fn map<A: MapAccess>(&self, export: &Export<X>) -> Result<Mapping<X, A>, Why> {
        Ok(self.reserve(export)?.map()?)
    }

    /// The number of hypercalls that `act` makes: of one kind, and in all.
    pub(crate) fn count<R>(&self, call: Call, act: impl FnOnce() -> R) -> (R, [u64; 2]) {
        let counters = self.services.system.counters();
        let read = || [counters.calls(call), counters.hypercalls()];
        let before = read();
        let result = act();
        let after = read();
        (result, [after[0] - before[0], after[1] - before[1]])
    }

    /// Runs after each check: frees what a failed check dropped while it was mapped.
    pub(crate) fn clean_up(&self) {
        self.make_room();
        self.services.gntalloc.reap(u32::MAX);
        self.services.gntdev.retry_stuck();
    }

    /// The last check: nothing is left behind.
    pub(crate) fn finish(self) -> Verdict {
        self.clean_up();
        InUse::restored(self.services, self.before).map(drop)
    }
}

impl<X: Platform> Drop for Fixture<'_, X> {
    fn drop(&mut self) {
        self.services.gntalloc.set_limit(self.limit);
    }
}
