// SPDX-License-Identifier: MIT OR Apache-2.0
//! The typed device: reservations up to a limit.
//!
//! It has no index space: a reservation is a value, and only that value can name it.

use super::held::Held;
use super::{Books, GntDev, Reservation, check_limit};
use crate::memory::Platform;
use crate::raw::Region;
use crate::{ClaimedGrant, Errno, Error};

/// An open gntdev device. Its reservations and mappings may outlive it.
#[derive(Debug)]
pub struct Device<X: Platform> {
    service: GntDev<X>,
    number: u32,
}

/// A device's limit and what is charged to it.
#[derive(Debug)]
pub(super) struct Quota {
    /// The number of values that need it: the device, its clones, reservations and mappings.
    holders: u64,
    limit: u32,
    /// Reserved references, mapped ones included.
    pub(super) reserved: u32,
}

impl<X: Platform> GntDev<X> {
    /// Opens a device whose reservations and mappings are values.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn open(&self) -> Result<Device<X>, Error> {
        let quota = Quota { holders: 1, limit: self.limit(), reserved: 0 };
        let number = self.0.books.lock().devices.insert(quota);
        Ok(Device { service: self.clone(), number: number.map_err(|_| Error::NO_MEMORY)? })
    }
}

impl<X: Platform> Device<X> {
    /// Reserves addresses for `grants`, which may be of any domains and repeat. Whether they exist
    /// is found out only when they are mapped.
    ///
    /// # Errors
    /// EINVAL for no references, ENOMEM for more than the device has room for or if memory runs
    /// out. Nothing changes then.
    pub fn reserve(&self, grants: &[ClaimedGrant]) -> Result<Reservation<X>, Error> {
        if grants.is_empty() {
            return Err(Error::Local(Errno::EINVAL, &"at least 1 reference can be reserved"));
        }
        self.service.retry_regions();
        let pages = u32::try_from(grants.len()).map_err(|_| FULL)?;
        self.service.0.books.lock().admit(self.number, pages)?;
        let service = &self.service.0;
        match Region::new(&service.space, grants) {
            Ok(region) => Ok(Reservation(Held::new(self.service.clone(), self.number, region))),
            Err(error) => {
                let books = &mut *service.books.lock();
                books.release_region(self.number, pages);
                Err(error)
            }
        }
    }

    /// Returns the most references that may be reserved at a time.
    pub fn limit(&self) -> u32 {
        let books = &mut *self.service.0.books.lock();
        books.devices.get_mut(self.number).map_or(0, |quota| quota.limit)
    }

    /// Changes that limit, at most to 2^18, as SET_MAX_GRANTS does.
    ///
    /// # Errors
    /// EBUSY once anything is reserved, EINVAL for 0 or too many.
    pub fn set_max_grants(&self, grants: u32) -> Result<(), Error> {
        let books = &mut *self.service.0.books.lock();
        if let Some(quota) = books.devices.get_mut(self.number) {
            if quota.reserved > 0 {
                return Err(IN_USE);
            }
            check_limit(grants)?;
            quota.limit = grants;
        }
        Ok(())
    }

    /// Returns the service that the device belongs to.
    pub(super) fn service(&self) -> &GntDev<X> {
        &self.service
    }
}

impl<X: Platform> Books<X> {
    /// Charges a region of `pages` pages to a device, and makes room for it to get stuck.
    fn admit(&mut self, device: u32, pages: u32) -> Result<(), Error> {
        let room = (self.regions + 1).saturating_sub(self.stuck.len());
        self.stuck.make_room(room)?;
        let quota = self.devices.get_mut(device).ok_or(FULL)?;
        if pages > quota.limit - quota.reserved {
            return Err(FULL);
        }
        quota.reserved += pages;
        quota.holders += 1;
        self.regions += 1;
        Ok(())
    }

    /// Takes back the charge of a region.
    pub(super) fn release_region(&mut self, device: u32, pages: u32) {
        self.regions -= 1;
        if self.regions == 0 {
            self.stuck.trim();
        }
        self.release(device, pages);
    }

    /// Removes a holder of a device; the last one removes the device.
    fn release(&mut self, device: u32, pages: u32) {
        let Some(quota) = self.devices.get_mut(device) else {
            return;
        };
        quota.reserved -= pages;
        quota.holders -= 1;
        if quota.holders == 0 {
            self.close(device);
        }
    }

    #[cold]
    fn close(&mut self, device: u32) {
        self.devices.remove(device);
    }
}

impl<X: Platform> Clone for Device<X> {
    fn clone(&self) -> Self {
        if let Some(quota) = self.service.0.books.lock().devices.get_mut(self.number) {
            quota.holders += 1;
        }
        Self { service: self.service.clone(), number: self.number }
    }
}

impl<X: Platform> Drop for Device<X> {
    fn drop(&mut self) {
        self.service.0.books.lock().release(self.number, 0);
    }
}

const FULL: Error = Error::Local(Errno::ENOMEM, &"more grants than the device has room for");
/// The error for changing the limit of a device in use.
pub(super) const IN_USE: Error = Error::Local(Errno::EBUSY, &"grants are reserved in this device");
