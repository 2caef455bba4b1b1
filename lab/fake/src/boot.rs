// SPDX-License-Identifier: MIT OR Apache-2.0
//! What FakeXen hands to a domain's services at boot.
#![expect(unsafe_code, reason = "a boot is a promise")]

use std::sync::atomic::Ordering;

use drivers::{Boot, ConsoleDevice, PortNumber, SharedPage, XenstoreDevice};

use super::FakeXen;
use super::domain::{CONSOLE_PORT, ConsoleKind, DomainPages, XENSTORE_PORT};

impl FakeXen {
    /// Returns the token to bring up this domain's services with.
    ///
    /// # Panics
    /// If called twice for the same domain: a domain boots once.
    pub fn boot(&self) -> Boot<FakeXen> {
        let before = self.pages.booted.swap(true, Ordering::Relaxed);
        assert!(!before, "domain {} has booted before", self.domid);
        let ring = self.pages.console_kind == ConsoleKind::Ring;
        let console = match self.pages.console_kind {
            ConsoleKind::Ring => {
                ConsoleDevice::Ring(self.page(|pages| &pages.console), PortNumber(CONSOLE_PORT))
            }
            ConsoleKind::Hypervisor => ConsoleDevice::Hypervisor,
        };
        let xenstore = ring.then(|| XenstoreDevice {
            ring: self.page(|pages| &pages.xenstore),
            port: PortNumber(XENSTORE_PORT),
        });
        let shared_info = self.page(|pages| &pages.shared_info);
        // SAFETY: the assertion above makes sure it's the first boot of this domain.
        unsafe { Boot::new(self.clone(), shared_info, console, xenstore) }
    }

    fn page<T>(&self, which: impl FnOnce(&DomainPages) -> &T) -> SharedPage<FakeXen, T> {
        // SAFETY: a `FakeXen` holds its pages by an `Arc`.
        unsafe { SharedPage::new(self.clone(), which(&self.pages)) }
    }
}
