//! The typed face: a reservation becomes a mapping, and a mapping a reservation again.
//!
//! Mapping consumes the [`Reservation`], so mapping over a live mapping, removing what is mapped,
//! unmapping twice and reading what is unmapped don't compile. Where Xen refuses, the
//! reservation comes back with the error, and keeps Xen's status for each reference.

use core::marker::PhantomData;
use core::ops::Range;

use xen_sys::grant_table::GrantStatus;

use super::Handle;
use super::table::{Table, Ticket};
use crate::memory::{PAGE_SIZE, Platform};
use crate::notify::UnmapNotify;
use crate::shared::{Shared, SharedMut, check_word};
use crate::{Access, Error, ForeignGrant};

/// A call that failed, and the value it was made on, as it was.
#[derive(Debug)]
pub struct Failed<T> {
    /// What comes back.
    pub value: T,
    /// Why it failed.
    pub error: Error,
}

/// What a mapping can do, as a type.
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

/// References reserved in a handle's index space, not mapped. Dropping it removes them.
#[derive(Debug)]
pub struct Reservation<X: Platform> {
    handle: Handle<X>,
    run: Range<u32>,
    ticket: Ticket,
}

impl<X: Platform> Handle<X> {
    /// Reserves a run of indices for `grants`, as [`Handle::map_grant_ref`] does.
    ///
    /// # Errors
    /// EINVAL for no references, ENOMEM for more than there is room for.
    pub fn insert(&self, grants: &[ForeignGrant]) -> Result<Reservation<X>, Error> {
        let (first, ticket) = self.insert_run(grants)?;
        let run = first..first + grants.len() as u32;
        Ok(Reservation { handle: self.clone(), run, ticket })
    }
}

impl<X: Platform> Reservation<X> {
    /// The index of its first reference, in bytes, for the plain calls.
    pub fn index(&self) -> u64 {
        u64::from(self.run.start) * PAGE_SIZE as u64
    }

    /// How many references it has.
    pub fn pages(&self) -> u32 {
        self.run.end - self.run.start
    }

    /// Maps all of it with one hypercall, or nothing.
    ///
    /// # Errors
    /// EINVAL where part of it was removed by its index or Xen refuses, ENOMEM for Xen's status
    /// no_space. The reservation comes back, and [`Reservation::statuses`] tells each answer.
    pub fn map<A: MapAccess>(self) -> Result<Mapping<X, A>, Failed<Self>> {
        let mapped =
            self.handle.with(|table| table.map(self.run.clone(), Some(self.ticket), A::ACCESS));
        match mapped {
            Ok(()) => Ok(Mapping::new(self.handle.clone(), self.run.clone(), Some(self))),
            Err(error) => Err(Failed { value: self, error }),
        }
    }

    /// Each reference, and what Xen said to it the last time it was mapped.
    pub fn statuses(&self) -> impl Iterator<Item = (ForeignGrant, GrantStatus)> {
        self.run.clone().map(|index| {
            let look = |table: &mut Table<X>| {
                (table.window().announced(index), table.window().status(index))
            };
            self.handle.with(look)
        })
    }

    /// Sets what is to happen when it's unmapped and removed, as [`Handle::set_unmap_notify`] does.
    /// `offset`: the byte to clear, counted from the start of the reservation.
    ///
    /// # Errors
    /// As [`Handle::set_unmap_notify`].
    pub fn set_notify(&self, offset: usize, notify: UnmapNotify) -> Result<(), Error> {
        crate::shared::check_range(self.pages() as usize * PAGE_SIZE, offset, 1)?;
        self.handle.set_unmap_notify(self.index() + offset as u64, notify)
    }
}

impl<X: Platform> Drop for Reservation<X> {
    fn drop(&mut self) {
        self.handle.with(|table| table.discard(self.run.clone(), Some(self.ticket)));
    }
}

/// Mapped pages of another domain, at contiguous addresses. Dropping it unmaps them, and removes
/// the reservation that it was made from.
#[derive(Debug)]
pub struct Mapping<X: Platform, A: MapAccess> {
    handle: Handle<X>,
    run: Range<u32>,
    /// `None` for a mapping by plain index, and once it's unmapped.
    reservation: Option<Reservation<X>>,
    live: bool,
    access: PhantomData<A>,
}

impl<X: Platform, A: MapAccess> Mapping<X, A> {
    pub(super) fn new(
        handle: Handle<X>,
        run: Range<u32>,
        reservation: Option<Reservation<X>>,
    ) -> Self {
        Self { handle, run, reservation, live: true, access: PhantomData }
    }

    /// The address of its first byte.
    pub fn addr(&self) -> usize {
        self.handle.with(|table| table.window().addr(self.run.start))
    }

    /// The index of its first page, in bytes, for the plain calls.
    pub fn index(&self) -> u64 {
        u64::from(self.run.start) * PAGE_SIZE as u64
    }

    /// How many pages it has.
    pub fn pages(&self) -> u32 {
        self.run.end - self.run.start
    }

    /// The references it maps, in page order.
    pub fn grants(&self) -> impl Iterator<Item = ForeignGrant> {
        self.run.clone().map(|index| self.handle.with(|table| table.window().announced(index)))
    }

    /// Unmaps all of it with one hypercall. The reservation it was made from can be mapped again;
    /// a mapping made by plain index has none to give back.
    ///
    /// # Errors
    /// What Xen says to the first page it won't unmap. Such pages are tried again by the service;
    /// until then they stay reserved and can't be used.
    pub fn unmap(mut self) -> Result<Option<Reservation<X>>, Error> {
        self.unmap_once()?;
        Ok(self.reservation.take())
    }

    /// Sets what is to happen when it's unmapped and removed, as [`Handle::set_unmap_notify`] does.
    /// `offset`: the byte to clear, counted from the start of the mapping.
    ///
    /// # Errors
    /// As [`Handle::set_unmap_notify`].
    pub fn set_notify(&self, offset: usize, notify: UnmapNotify) -> Result<(), Error> {
        self.check(offset, 1)?;
        self.handle.set_unmap_notify(self.index() + offset as u64, notify)
    }

    /// Tries to store one byte at `offset`, whether the mapping allows it or not. Whether it was
    /// stored: a fault is caught.
    ///
    /// # Errors
    /// EINVAL outside the mapping.
    pub fn probe_write(&self, offset: usize, value: u8) -> Result<bool, Error> {
        self.check(offset, 1)?;
        Ok(self.handle.with(|table| table.window().probe_write(self.base() + offset, value)))
    }

    fn unmap_once(&mut self) -> Result<(), Error> {
        if !core::mem::take(&mut self.live) {
            return Ok(());
        }
        self.handle.with(|table| table.unmap(self.run.start))
    }

    /// Its offset in the window.
    fn base(&self) -> usize {
        self.run.start as usize * PAGE_SIZE
    }
}

impl<X: Platform, A: MapAccess> Shared for Mapping<X, A> {
    fn size(&self) -> usize {
        self.pages() as usize * PAGE_SIZE
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.with(|table| table.window().read(self.base() + offset, bytes));
        Ok(())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        check_word(self.size(), offset)?;
        Ok(self.handle.with(|table| table.window().load_u32(self.base() + offset)))
    }
}

impl<X: Platform> SharedMut for Mapping<X, ReadWrite> {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len())?;
        self.handle.with(|table| table.window().write(self.base() + offset, bytes));
        Ok(())
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        check_word(self.size(), offset)?;
        self.handle.with(|table| table.window().store_u32(self.base() + offset, value));
        Ok(())
    }
}

impl<X: Platform, A: MapAccess> Drop for Mapping<X, A> {
    fn drop(&mut self) {
        if let Err(error) = self.unmap_once() {
            log::warn!("unmapping: {error}; it is tried again");
        }
    }
}
