// SPDX-License-Identifier: MIT OR Apache-2.0
//! A region with a holder: what a reservation and a mapping have in common.
//!
//! Dropping one gives the region to the service, which keeps pages that Xen refuses to unmap and
//! retries.

use super::GntDev;
use crate::memory::Platform;
use crate::notify::UnmapNotify;
use crate::raw::Region;
use crate::{Access, Error, Pages};

/// A region, and the device that it is charged to.
#[derive(Debug)]
pub(super) struct Held<X: Platform> {
    service: GntDev<X>,
    device: u32,
    region: Region<X>,
    /// The number of pages that a failed map left mapped because Xen refused to unmap them again.
    left: u32,
}

impl<X: Platform> Held<X> {
    pub(super) fn new(service: GntDev<X>, device: u32, region: Region<X>) -> Self {
        Self { service, device, region, left: 0 }
    }

    /// Returns the region.
    #[inline]
    pub(super) fn region(&self) -> &Region<X> {
        &self.region
    }

    pub(super) fn pages(&self) -> Pages {
        self.region.pages()
    }

    /// Maps all of it or nothing, after unmapping what an earlier try left.
    ///
    /// # Errors
    /// Xen's status of the first page that it refused to map or unmap.
    pub(super) fn map(&mut self, access: Access) -> Result<(), Error> {
        self.service.retry_regions();
        let region = &mut self.region;
        let mapped = region.map(access);
        match mapped {
            Ok(()) => {
                self.service.count_mapped(region.pages(), true);
                self.set_left(0);
            }
            Err(_) => {
                let left = region.mapped();
                self.set_left(left);
            }
        }
        mapped
    }

    fn set_left(&mut self, left: u32) {
        if self.left != left {
            self.service.count_left(self.left, left);
            self.left = left;
        }
    }

    /// Unmaps it.
    ///
    /// # Errors
    /// Xen's status of the first page that it refused to unmap.
    pub(super) fn unmap(&mut self) -> Result<(), Error> {
        let region = &mut self.region;
        if region.is_mapped() {
            self.service.count_mapped(region.pages(), false);
        }
        region.unmap()
    }

    /// Sets what happens when it is released.
    ///
    /// # Errors
    /// EINVAL for an event on a port that is not open, then for a byte outside the region or of a
    /// read-only mapping; ENOMEM.
    pub(super) fn set_notify(&mut self, notify: UnmapNotify) -> Result<(), Error> {
        let event = notify.hold(&self.service.0.events)?;
        self.region.set_notice(notify.byte, event)
    }
}

impl<X: Platform> Drop for Held<X> {
    fn drop(&mut self) {
        if self.region.is_mapped() {
            self.service.count_mapped(self.region.pages(), false);
        }
        self.set_left(0);
        // What Xen refuses to unmap, the service keeps.
        self.service.let_go(&mut self.region, self.device);
    }
}
