// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Host`] for a guest's services.

use alloc::vec::Vec;

use drivers::events::{Port, PortStatus};
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadOnly, ReadWrite};
use drivers::notify::UnmapNotify;
use drivers::shared::{Shared, SharedBits, SharedMut};
use drivers::xenstore::{Publication, Reader, Watch, XenStore, persist};
use drivers::{
    Access, DomId, Errno, Error, GrantRef, Pages, Platform, PortNumber, Services, System,
};

use crate::{Bell, Host, StreamOn};

/// A guest's stream, at either end.
pub type GuestStream<X> = StreamOn<Services<X>>;

/// Pages shared by or with a guest.
#[derive(Debug)]
pub enum GuestPages<X: Platform> {
    /// Granted by us.
    Granted(Export<X>),
    /// Mapped by us.
    Mapped(Mapping<X, ReadWrite>),
    /// Mapped by us, read-only.
    Read(Mapping<X, ReadOnly>),
}

/// A guest's end of an event channel.
#[derive(Debug)]
pub struct GuestBell<X: Platform> {
    port: Port<X>,
    peer: DomId,
    system: System<X>,
}

impl<X: Platform> Host for Services<X> {
    type Pages = GuestPages<X>;
    type Bell = GuestBell<X>;
    type Node = Publication<X>;
    type Watch = Watch<X>;

    fn grant(&self, peer: DomId, pages: u32) -> Result<GuestPages<X>, Error> {
        let granted = self.gntalloc.open().alloc(peer, Pages(pages), Access::ReadWrite);
        granted.map(GuestPages::Granted)
    }

    fn references(pages: &GuestPages<X>) -> impl Iterator<Item = GrantRef> {
        let granted = match pages {
            GuestPages::Granted(export) => Some(export),
            GuestPages::Mapped(_) | GuestPages::Read(_) => None,
        };
        granted.into_iter().flat_map(Export::grefs)
    }

    fn map(&self, peer: DomId, refs: &[GrantRef], access: Access) -> Result<GuestPages<X>, Error> {
        let mut grants = Vec::new();
        grants.try_reserve_exact(refs.len()).map_err(|_| Error::NO_MEMORY)?;
        drivers::list::extend(&mut grants, refs.iter().map(|gref| peer.grant(*gref)))?;
        let reserved = self.gntdev.open()?.reserve(&grants)?;
        Ok(match access {
            Access::ReadWrite => GuestPages::Mapped(reserved.map()?),
            Access::ReadOnly => GuestPages::Read(reserved.map()?),
        })
    }

    fn on_end(
        &self,
        pages: &mut GuestPages<X>,
        byte: usize,
        bell: &GuestBell<X>,
    ) -> Result<(), Error> {
        let notify = UnmapNotify::clear_byte(byte).and_event(&bell.port);
        match pages {
            GuestPages::Granted(export) => export.set_notify(notify),
            GuestPages::Mapped(mapping) => mapping.set_notify(notify),
            GuestPages::Read(mapping) => mapping.set_notify(notify),
        }
    }

    fn offer(&self, peer: DomId) -> Result<GuestBell<X>, Error> {
        let port = self.events.alloc_unbound(peer)?;
        Ok(GuestBell { port, peer, system: self.system.clone() })
    }

    fn bind(&self, peer: DomId, port: PortNumber) -> Result<GuestBell<X>, Error> {
        let port = self.events.bind_interdomain(peer, port)?;
        Ok(GuestBell { port, peer, system: self.system.clone() })
    }

    fn number(bell: &GuestBell<X>) -> PortNumber {
        bell.port.number()
    }

    async fn publish(
        &self,
        path: &str,
        value: &[u8],
        reader: DomId,
    ) -> Result<Publication<X>, Error> {
        let store = store(self)?;
        persist(&self.system, &|| store.publish(path, value, Reader::Domain(reader))).await
    }

    async fn look(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let store = store(self)?;
        match persist(&self.system, &|| store.read(path)).await {
            Ok(value) => Ok(Some(value)),
            Err(Error::XenStore(Errno::ENOENT | Errno::EACCES)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn watch(&self, path: &str) -> Result<Watch<X>, Error> {
        let store = store(self)?;
        persist(&self.system, &|| store.watch(path)).await
    }

    async fn change(watch: &mut Watch<X>) -> Result<(), Error> {
        watch.event().await.map(drop)
    }

    fn pause(&self, ns: u64) -> impl Future<Output = ()> {
        self.system.sleep_until(self.system.now().saturating_add(ns))
    }
}

/// The guest's xenstore.
fn store<X: Platform>(guest: &Services<X>) -> Result<&XenStore<X>, Error> {
    let absent = Error::Local(Errno::ENODEV, &"this domain has no xenstore");
    guest.xenstore.as_ref().ok_or(absent)
}

impl<X: Platform> Bell for GuestBell<X> {
    fn delivered(&self) -> u64 {
        self.port.delivered()
    }

    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()> {
        self.port.wait_beyond(mark)
    }

    fn ring(&self) -> Result<(), Error> {
        self.port.send()
    }

    fn is_bound(&self) -> bool {
        let bound = self.port.status();
        matches!(bound, Ok(PortStatus::Interdomain(domid, _)) if domid == self.peer.get())
    }

    fn now(&self) -> u64 {
        self.system.now()
    }

    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        self.system.sleep_until(deadline)
    }
}

/// Evaluates an expression for any kind of pages.
macro_rules! with_pages {
    ($pages:expr, $it:ident => $then:expr) => {
        match $pages {
            GuestPages::Granted($it) => $then,
            GuestPages::Mapped($it) => $then,
            GuestPages::Read($it) => $then,
        }
    };
}

/// The same for writable pages; others get an error.
macro_rules! with_writable {
    ($pages:expr, $it:ident => $then:expr) => {
        match $pages {
            GuestPages::Granted($it) => $then,
            GuestPages::Mapped($it) => $then,
            GuestPages::Read(_) => Err(READ_ONLY),
        }
    };
}

impl<X: Platform> Shared for GuestPages<X> {
    fn size(&self) -> usize {
        with_pages!(self, pages => pages.size())
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        with_pages!(self, pages => pages.read(offset, bytes))
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        with_pages!(self, pages => pages.load_u32(offset))
    }
}

impl<X: Platform> SharedMut for GuestPages<X> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        with_writable!(self, pages => pages.write(offset, bytes))
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        with_writable!(self, pages => pages.store_u32(offset, value))
    }
}

impl<X: Platform> SharedBits for GuestPages<X> {
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        with_writable!(self, pages => pages.fetch_or_u8(offset, bits))
    }

    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        with_writable!(self, pages => pages.fetch_and_u8(offset, bits))
    }
}

const READ_ONLY: Error = Error::Local(Errno::EACCES, &"mapped to be read");
