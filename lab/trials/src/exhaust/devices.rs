// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes grants, mappings and ports one by one, in a domain that maps its own grants.

use drivers::events::Port;
use drivers::gntalloc::{self, Export};
use drivers::gntdev::{self, Mapping, ReadWrite, Reservation};
use drivers::memory::Platform;
use drivers::{Access, Error, Pages, Services};

/// Both devices of this domain, open.
#[derive(Debug)]
pub(super) struct Devices<'a, X: Platform> {
    pub(super) services: &'a Services<X>,
    gntalloc: gntalloc::Device<X>,
    gntdev: gntdev::Device<X>,
}

impl<'a, X: Platform> Devices<'a, X> {
    pub(super) fn open(services: &'a Services<X>) -> Result<Self, Error> {
        let (gntalloc, gntdev) = (services.gntalloc.open(), services.gntdev.open()?);
        Ok(Self { services, gntalloc, gntdev })
    }

    pub(super) fn grant(&self, pages: u32) -> Result<Export<X>, Error> {
        self.gntalloc.alloc(self.services.domid, Pages(pages), Access::ReadWrite)
    }

    pub(super) fn reserve(&self, export: &Export<X>, page: usize) -> Result<Reservation<X>, Error> {
        let grant = export.grefs().nth(page).map(|gref| self.services.domid.grant(gref));
        self.gntdev.reserve(grant.as_slice())
    }

    /// Maps the page of one of `exports`, in turn by `number`.
    pub(super) fn map(
        &self,
        exports: &[Export<X>],
        number: usize,
    ) -> Result<Mapping<X, ReadWrite>, Error> {
        Ok(self.reserve(&exports[number % exports.len()], 0)?.map()?)
    }

    pub(super) fn port(&self) -> Result<Port<X>, Error> {
        self.services.events.alloc_unbound(self.services.domid)
    }
}
