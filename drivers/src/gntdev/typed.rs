// SPDX-License-Identifier: MIT OR Apache-2.0
//! References that are reserved, mapped, and given back.
//!
//! Mapping consumes a [`Reservation`], unmapping a [`Mapping`], so mapping over a live mapping,
//! removing a mapped reservation, unmapping twice and reading after unmapping don't compile. If Xen
//! refuses to map, the reservation comes back with the error, and keeps Xen's status of each
//! reference.
//!
//! A mapping owns its addresses and its map operations, so an access costs only a bounds check.

use core::fmt;
use core::marker::PhantomData;

use xen_sys::grant_table::GrantStatus;

use super::held::Held;
use crate::memory::Platform;
use crate::notify::UnmapNotify;
use crate::shared::{Shared, SharedBits, SharedMut};
use crate::{Access, ClaimedGrant, Error, Pages};

/// References that are reserved but not mapped, with addresses of their own. Dropping it removes
/// them.
#[derive(Debug)]
pub struct Reservation<X: Platform>(pub(super) Held<X>);

impl<X: Platform> Reservation<X> {
    /// Returns its number of references.
    pub fn pages(&self) -> Pages {
        self.0.pages()
    }

    /// Maps all of it or nothing, with one hypercall.
    ///
    /// # Errors
    /// EINVAL if Xen refuses, ENOMEM for its status no_space. The reservation comes back, and
    /// [`Reservation::statuses`] returns each status.
    pub fn map<A: MapAccess>(mut self) -> Result<Mapping<X, A>, Failed<Self>> {
        match self.0.map(A::ACCESS) {
            Ok(()) => Ok(Mapping::new(self.0)),
            Err(error) => Err(Failed { value: self, error }),
        }
    }

    /// Returns each reference, and Xen's status of its last map.
    pub fn statuses(&self) -> impl Iterator<Item = (ClaimedGrant, GrantStatus)> {
        self.0.region().statuses()
    }

    /// Sets what happens when it is released, mapped or not: the byte is cleared when it is
    /// unmapped, the event is sent when it is dropped; each once. A later call replaces an earlier
    /// one.
    ///
    /// # Errors
    /// EINVAL for an event on a port that is not open, then for a byte outside the reservation;
    /// ENOMEM.
    pub fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        self.0.set_notify(notify)
    }
}

/// What a mapping allows, as a type.
pub trait MapAccess: sealed::Sealed + core::fmt::Debug + 'static {
    /// The same as a value.
    const ACCESS: Access;
}

/// A mapping that can be written.
#[derive(Debug)]
pub enum ReadWrite {}

/// A mapping that can only be read: it has no `write`.
#[derive(Debug)]
pub enum ReadOnly {}

impl MapAccess for ReadWrite {
    const ACCESS: Access = Access::ReadWrite;
}

impl MapAccess for ReadOnly {
    const ACCESS: Access = Access::ReadOnly;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadWrite {}
    impl Sealed for super::ReadOnly {}
}

/// Mapped pages of other domains, at contiguous addresses. Dropping it unmaps them, and removes the
/// reservation that it was made from.
#[derive(Debug)]
pub struct Mapping<X: Platform, A: MapAccess> {
    held: Held<X>,
    access: PhantomData<A>,
}

impl<X: Platform, A: MapAccess> Mapping<X, A> {
    /// Wraps a region that is mapped as `A` says.
    pub(super) fn new(held: Held<X>) -> Self {
        Self { held, access: PhantomData }
    }

    /// Returns the address of its first byte.
    pub fn addr(&self) -> usize {
        self.held.region().addr()
    }

    /// Returns its number of pages.
    pub fn pages(&self) -> Pages {
        self.held.pages()
    }

    /// Returns the references it maps, in page order.
    pub fn grants(&self) -> impl Iterator<Item = ClaimedGrant> {
        self.held.region().statuses().map(|(grant, _)| grant)
    }

    /// Unmaps all of it with one hypercall. Returns the reservation it was made from, which can be
    /// mapped again.
    ///
    /// # Errors
    /// Xen's status of the first page that it refuses to unmap. The service keeps such pages and
    /// retries; until then they count as stuck, and none of the mapping can be used.
    pub fn unmap(mut self) -> Result<Reservation<X>, Error> {
        self.held.unmap()?;
        Ok(Reservation(self.held))
    }

    /// Sets what happens when it is unmapped and removed, as [`Reservation::set_notify`] does.
    ///
    /// # Errors
    /// As [`Reservation::set_notify`]; EINVAL for a byte of a read-only mapping.
    pub fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        self.held.set_notify(notify)
    }

    /// Tries to store one byte at `offset`, whether or not the mapping allows it, catching the
    /// fault. Returns whether the byte was stored.
    ///
    /// # Errors
    /// EINVAL outside the mapping.
    pub fn probe_write(&self, offset: usize, value: u8) -> Result<bool, Error> {
        self.held.region().probe_write(offset, value)
    }
}

impl<X: Platform, A: MapAccess> Shared for Mapping<X, A> {
    fn size(&self) -> usize {
        self.pages().bytes()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.held.region().read(offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        self.held.region().load_u32(offset)
    }
}

impl<X: Platform> SharedMut for Mapping<X, ReadWrite> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.held.region().write(offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        self.held.region().store_u32(offset, value)
    }
}

impl<X: Platform> SharedBits for Mapping<X, ReadWrite> {
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        self.held.region().fetch_or_u8(offset, bits)
    }

    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error> {
        self.held.region().fetch_and_u8(offset, bits)
    }
}

/// A failed call's error, together with the unchanged value it was made on.
#[derive(Debug)]
pub struct Failed<T> {
    /// The value.
    pub value: T,
    /// Why it failed.
    pub error: Error,
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Failed<T> {}

/// Allows `?`: the returned value is dropped, and what it held is released.
impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.error
    }
}
