// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel hands to the services when it boots, once: Xen, and the pages Xen made for it.
//!
//! A [`Boot`] is a token. Services that were brought up twice would write the same grant entries,
//! so it is made under `unsafe` and used up by [`crate::Services::bring_up`].
#![expect(unsafe_code, reason = "a page's lifetime and the uniqueness of a boot are promises")]

use core::ptr;

use xen_sys::io::console::XenconsInterface;
use xen_sys::io::xs_wire::XenstoreDomainInterface;
use xen_sys::xen::SharedInfo;

use crate::PortNumber;
use crate::memory::{Memory, Platform};
use crate::words::Watched;

/// A page that Xen or one of its daemons shares with this domain, and what keeps it there.
#[derive(Debug)]
pub struct SharedPage<X, T: 'static> {
    page: &'static T,
    owner: X,
}

impl<X, T> SharedPage<X, T> {
    /// `page`, which stays as long as `owner` or a clone of it lives.
    ///
    /// # Safety
    /// It does stay so long.
    pub unsafe fn new(owner: X, page: &T) -> Self {
        // SAFETY: valid while `owner` lives, which is kept beside it; `word` lends it no longer.
        let page = unsafe { &*ptr::from_ref(page) };
        Self { page, owner }
    }

    /// The page, for whoever made it and uses it before there are services. These reach its words
    /// by another way, on which a test can step in.
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
    /// One of its words.
    pub(crate) fn word<A>(&self, pick: impl FnOnce(&T) -> &A) -> Watched<'_, X, A> {
        Watched::new(&self.owner, pick(self.page))
    }
}

/// Where this guest's console is.
#[derive(Clone, Debug)]
pub enum ConsoleDevice<X> {
    /// The ring that the console daemon serves, and the port that rings for both directions.
    Ring(SharedPage<X, XenconsInterface>, PortNumber),
    /// Xen's own console, for the domain in dom0's place: `HYPERVISOR_console_io`, and
    /// `VIRQ_CONSOLE` when a key was pressed.
    Hypervisor,
}

/// The ring that xenstore's daemon serves, and the port that rings for both directions.
#[derive(Clone, Debug)]
pub struct XenstoreDevice<X> {
    /// The ring.
    pub ring: SharedPage<X, XenstoreDomainInterface>,
    /// The port.
    pub port: PortNumber,
}

/// What the services are brought up from.
#[derive(Debug)]
pub struct Boot<X> {
    pub(crate) xen: X,
    pub(crate) shared_info: SharedPage<X, SharedInfo>,
    pub(crate) console: ConsoleDevice<X>,
    pub(crate) xenstore: Option<XenstoreDevice<X>>,
}

impl<X: Platform> Boot<X> {
    /// Xen, the page of events and time, the console, and xenstore (`None` in dom0's place).
    ///
    /// # Safety
    /// Once in a domain's life, before anything is granted or mapped.
    pub unsafe fn new(
        xen: X,
        shared_info: SharedPage<X, SharedInfo>,
        console: ConsoleDevice<X>,
        xenstore: Option<XenstoreDevice<X>>,
    ) -> Self {
        Self { xen, shared_info, console, xenstore }
    }
}
