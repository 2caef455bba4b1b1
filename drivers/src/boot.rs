// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel hands to the services once, at boot: Xen, and the pages that Xen set up for it.
//!
//! A [`Boot`] is a token. Two sets of services would write the same grant entries, so creating a
//! `Boot` is `unsafe`, and [`crate::Services::bring_up`] consumes it.
#![expect(unsafe_code, reason = "a page's lifetime and the uniqueness of a boot are promises")]

use core::ptr;

use xen_sys::io::console::XenconsInterface;
use xen_sys::io::xs_wire::XenstoreDomainInterface;
use xen_sys::xen::SharedInfo;

use crate::PortNumber;
use crate::memory::{Memory, Platform};
use crate::words::Watched;

/// A page that Xen or one of its daemons shares with this domain, and the value that keeps it
/// mapped.
#[derive(Debug)]
pub struct SharedPage<X, T: 'static> {
    page: &'static T,
    owner: X,
}

impl<X, T> SharedPage<X, T> {
    /// Wraps `page`, which stays valid as long as `owner` or a clone of it lives.
    ///
    /// # Safety
    /// `page` does stay valid that long.
    pub unsafe fn new(owner: X, page: &T) -> Self {
        // SAFETY: valid while `owner` lives, which is stored beside it; borrows of it end with
        // `self`.
        let page = unsafe { &*ptr::from_ref(page) };
        Self { page, owner }
    }

    /// Returns the page, for the kernel that created it to use before the services exist. The
    /// services access its words through `word` instead, where tests can intervene.
    pub fn page(&self) -> &T {
        self.page
    }
}

impl<X: Clone, T> Clone for SharedPage<X, T> {
    fn clone(&self) -> Self {
        Self { page: self.page, owner: self.owner.clone() }
    }
}

impl<X: Memory, T> SharedPage<X, T> {
    /// Returns the word of the page that `pick` selects.
    pub(crate) fn word<A>(&self, pick: impl FnOnce(&T) -> &A) -> Watched<'_, X, A> {
        Watched::new(&self.owner, pick(self.page))
    }
}

/// The device behind this guest's console.
#[derive(Clone, Debug)]
pub enum ConsoleDevice<X> {
    /// The ring served by the console daemon, and the port that signals both directions.
    Ring(SharedPage<X, XenconsInterface>, PortNumber),
    /// Xen's own console, for a guest booted as dom0: `HYPERVISOR_console_io`, and `VIRQ_CONSOLE`
    /// for key presses.
    Hypervisor,
}

/// The ring served by xenstore's daemon, and the port that signals both directions.
#[derive(Clone, Debug)]
pub struct XenstoreDevice<X> {
    /// The ring.
    pub ring: SharedPage<X, XenstoreDomainInterface>,
    /// The port.
    pub port: PortNumber,
}

/// Everything that the services need to start.
#[derive(Debug)]
pub struct Boot<X> {
    pub(crate) xen: X,
    pub(crate) shared_info: SharedPage<X, SharedInfo>,
    pub(crate) console: ConsoleDevice<X>,
    pub(crate) xenstore: Option<XenstoreDevice<X>>,
}

impl<X: Platform> Boot<X> {
    /// Combines Xen, the shared-info page (events and time), the console, and xenstore (`None` for
    /// a guest booted as dom0).
    ///
    /// # Safety
    /// Call it once in a domain's life, before anything is granted or mapped.
    pub unsafe fn new(
        xen: X,
        shared_info: SharedPage<X, SharedInfo>,
        console: ConsoleDevice<X>,
        xenstore: Option<XenstoreDevice<X>>,
    ) -> Self {
        Self { xen, shared_info, console, xenstore }
    }
}
