// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's own libraries, used as any program in dom0 uses them: libxengnttab, which includes
//! xengntshr, and libxenevtchn.
//!
//! They are loaded by name at run time, so that the build needs no Xen packages. If a library call
//! fails, its errno is returned. A port's event is kept until somebody waits for it.
#![expect(unsafe_code, reason = "functions of C libraries")]

use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drivers::Access;
use drivers::memory::PAGE_SIZE;
use libloading::Library;
use nix::errno::Errno;
use nix::libc::{PROT_READ, PROT_WRITE};
use nix::poll::{PollFd, PollFlags, poll};

use crate::region::Region;

/// The libraries' value for no byte and no port.
const NONE: u32 = u32::MAX;

/// What the library does when pages are unmapped or unshared.
#[derive(Clone, Copy, Debug)]
pub struct AtUnmap {
    /// The offset of the byte to clear.
    pub byte: Option<u32>,
    /// The port to send an event to.
    pub event: Option<u32>,
}

/// Declares a library's functions, and looks them up.
macro_rules! library {
    ($library:ident $file:literal { $($function:ident($($argument:ty),*) -> $returned:ty;)* }) => {
        #[derive(Debug)]
        struct $library { $($function: unsafe extern "C" fn($($argument),*) -> $returned,)* }

        impl $library {
            fn open() -> Result<Self> {
                // SAFETY: Xen's libraries run no code when they are loaded.
                let library = unsafe { Library::new($file) }.context($file)?;
                // Its functions are in use until the program ends.
                let library: &'static Library = Box::leak(Box::new(library));
                Ok(Self { $(
                    // SAFETY: the library's header declares the function with these types.
                    $function: *unsafe { library.get(stringify!($function)) }
                        .with_context(|| format!("{} of {}", stringify!($function), $file))?,
                )* })
            }
        }
    };
}

library!(GnttabLibrary "libxengnttab.so.1" {
    xengnttab_open(*mut c_void, u32) -> *mut c_void;
    xengnttab_close(*mut c_void) -> c_int;
    xengnttab_map_domain_grant_refs(*mut c_void, u32, u32, *mut u32, c_int) -> *mut c_void;
    xengnttab_map_grant_ref_notify(*mut c_void, u32, u32, c_int, u32, u32) -> *mut c_void;
    xengnttab_unmap(*mut c_void, *mut c_void, u32) -> c_int;
    xengntshr_open(*mut c_void, u32) -> *mut c_void;
    xengntshr_close(*mut c_void) -> c_int;
    xengntshr_share_pages(*mut c_void, u32, c_int, *mut u32, c_int) -> *mut c_void;
    xengntshr_share_page_notify(*mut c_void, u32, *mut u32, c_int, u32, u32) -> *mut c_void;
    xengntshr_unshare(*mut c_void, *mut c_void, u32) -> c_int;
});

library!(EvtchnLibrary "libxenevtchn.so.1" {
    xenevtchn_open(*mut c_void, u32) -> *mut c_void;
    xenevtchn_close(*mut c_void) -> c_int;
    xenevtchn_fd(*mut c_void) -> c_int;
    xenevtchn_notify(*mut c_void, u32) -> c_int;
    xenevtchn_bind_unbound_port(*mut c_void, u32) -> c_int;
    xenevtchn_bind_interdomain(*mut c_void, u32, u32) -> c_int;
    xenevtchn_unbind(*mut c_void, u32) -> c_int;
    xenevtchn_pending(*mut c_void) -> c_int;
    xenevtchn_unmask(*mut c_void, u32) -> c_int;
});

/// The libraries, with one handle of each kind.
#[derive(Debug)]
pub struct Libxen {
    gnttab: GnttabLibrary,
    evtchn: EvtchnLibrary,
    maps: *mut c_void,
    shares: *mut c_void,
    events: *mut c_void,
    /// Ports with an event that nobody has waited for yet.
    rang: BTreeSet<u32>,
}

/// Turns a null pointer into the errno.
fn pointer(returned: *mut c_void) -> Result<*mut c_void, Errno> {
    if returned.is_null() { Err(Errno::last()) } else { Ok(returned) }
}

/// Turns a negative number into the errno.
fn number(returned: c_int) -> Result<u32, Errno> {
    u32::try_from(returned).map_err(|_| Errno::last())
}

impl Libxen {
    /// Opens everything.
    ///
    /// # Errors
    /// If a library or a device can't be opened; the error names it.
    pub fn open() -> Result<Libxen> {
        let (gnttab, evtchn) = (GnttabLibrary::open()?, EvtchnLibrary::open()?);
        // SAFETY: given no logger, the library creates its own.
        let maps = pointer(unsafe { (gnttab.xengnttab_open)(ptr::null_mut(), 0) });
        // SAFETY: the same.
        let shares = pointer(unsafe { (gnttab.xengntshr_open)(ptr::null_mut(), 0) });
        // SAFETY: the same.
        let events = pointer(unsafe { (evtchn.xenevtchn_open)(ptr::null_mut(), 0) });
        Ok(Libxen {
            maps: maps.context("xengnttab_open")?,
            shares: shares.context("xengntshr_open")?,
            events: events.context("xenevtchn_open")?,
            gnttab,
            evtchn,
            rang: BTreeSet::new(),
        })
    }

    /// Closes everything. Mappings stay until the process ends.
    pub fn close(self) {
        // SAFETY: an open handle, which is used by nobody afterwards.
        unsafe { (self.gnttab.xengnttab_close)(self.maps) };
        // SAFETY: the same.
        unsafe { (self.gnttab.xengntshr_close)(self.shares) };
        // SAFETY: the same.
        unsafe { (self.evtchn.xenevtchn_close)(self.events) };
    }

    /// Maps a domain's pages: a single page if there is a notification.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn map(
        &self,
        domid: u32,
        refs: &mut [u32],
        access: Access,
        notify: Option<AtUnmap>,
    ) -> Result<Region, Errno> {
        let protection = match access {
            Access::ReadWrite => PROT_READ | PROT_WRITE,
            Access::ReadOnly => PROT_READ,
        };
        let map = self.gnttab.xengnttab_map_domain_grant_refs;
        let map_one = self.gnttab.xengnttab_map_grant_ref_notify;
        let (handle, count) = (self.maps, refs.len());
        let mapped = match (notify, &*refs) {
            // SAFETY: an open handle, and an array of `count` grefs.
            (None, _) => unsafe { map(handle, count as u32, domid, refs.as_mut_ptr(), protection) },
            (Some(AtUnmap { byte, event }), &[gref]) => {
                let (byte, event) = (byte.unwrap_or(NONE), event.unwrap_or(NONE));
                // SAFETY: an open handle.
                unsafe { map_one(handle, domid, gref, protection, byte, event) }
            }
            _ => return Err(Errno::EINVAL),
        };
        // SAFETY: the library has mapped `count` pages, and they stay until `unmap` consumes the
        // region.
        Ok(unsafe { Region::new(pointer(mapped)?, count * PAGE_SIZE, access) })
    }

    /// Unmaps what `map` returned.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn unmap(&self, region: Region) -> Result<(), Errno> {
        let (address, pages) = (region.address(), region.pages());
        // SAFETY: mapped by this handle; the region was its last user.
        number(unsafe { (self.gnttab.xengnttab_unmap)(self.maps, address, pages) }).map(drop)
    }

    /// Shares new pages with a domain: a single page if there is a notification.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn share(
        &self,
        domid: u32,
        pages: u32,
        access: Access,
        notify: Option<AtUnmap>,
    ) -> Result<(Vec<u32>, Region), Errno> {
        let count = c_int::try_from(pages).map_err(|_| Errno::EINVAL)?;
        let mut refs = vec![0; pages as usize];
        let writable = c_int::from(access == Access::ReadWrite);
        let share = self.gnttab.xengntshr_share_pages;
        let share_one = self.gnttab.xengntshr_share_page_notify;
        let handle = self.shares;
        let shared = match notify {
            // SAFETY: an open handle, and room for `count` grefs.
            None => unsafe { share(handle, domid, count, refs.as_mut_ptr(), writable) },
            Some(AtUnmap { byte, event }) if pages == 1 => {
                let (byte, event) = (byte.unwrap_or(NONE), event.unwrap_or(NONE));
                // SAFETY: an open handle, and room for one gref.
                unsafe { share_one(handle, domid, refs.as_mut_ptr(), writable, byte, event) }
            }
            _ => return Err(Errno::EINVAL),
        };
        let (shared, len) = (pointer(shared)?, refs.len() * PAGE_SIZE);
        // SAFETY: the library has mapped these pages, and they stay until `unshare` consumes the
        // region. The owner may write, whatever the other domain may do.
        Ok((refs, unsafe { Region::new(shared, len, Access::ReadWrite) }))
    }

    /// Releases what `share` returned.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn unshare(&self, region: Region) -> Result<(), Errno> {
        let (address, pages) = (region.address(), region.pages());
        // SAFETY: shared by this handle; the region was its last user.
        number(unsafe { (self.gnttab.xengntshr_unshare)(self.shares, address, pages) }).map(drop)
    }

    /// Allocates a port that a domain may bind.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn offer(&self, domid: u32) -> Result<u32, Errno> {
        // SAFETY: an open handle.
        number(unsafe { (self.evtchn.xenevtchn_bind_unbound_port)(self.events, domid) })
    }

    /// Allocates a port, bound to one that a domain offers.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn bind(&self, domid: u32, port: u32) -> Result<u32, Errno> {
        // SAFETY: an open handle.
        number(unsafe { (self.evtchn.xenevtchn_bind_interdomain)(self.events, domid, port) })
    }

    /// Sends an event.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn send(&self, port: u32) -> Result<(), Errno> {
        // SAFETY: an open handle.
        number(unsafe { (self.evtchn.xenevtchn_notify)(self.events, port) }).map(drop)
    }

    /// Closes a port.
    ///
    /// # Errors
    /// The errno that the library left.
    pub fn close_port(&mut self, port: u32) -> Result<(), Errno> {
        self.rang.remove(&port);
        // SAFETY: an open handle.
        number(unsafe { (self.evtchn.xenevtchn_unbind)(self.events, port) }).map(drop)
    }

    /// Waits for a port's event, for at most `limit`.
    ///
    /// # Errors
    /// ETIMEDOUT, or the errno that the library left.
    pub fn wait(&mut self, port: u32, limit: Duration) -> Result<(), Errno> {
        let end = Instant::now() + limit;
        while !self.rang.remove(&port) {
            let left = end.saturating_duration_since(Instant::now()).as_millis();
            // SAFETY: an open handle.
            let fd = unsafe { (self.evtchn.xenevtchn_fd)(self.events) };
            // SAFETY: the handle's file, which stays open as long as the handle.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            let mut files = [PollFd::new(fd, PollFlags::POLLIN)];
            if poll(&mut files, u16::try_from(left).unwrap_or(u16::MAX))? == 0 {
                return Err(Errno::ETIMEDOUT);
            }
            // SAFETY: an open handle, with an event pending.
            let rang = number(unsafe { (self.evtchn.xenevtchn_pending)(self.events) })?;
            // SAFETY: an open handle.
            number(unsafe { (self.evtchn.xenevtchn_unmask)(self.events, rang) })?;
            self.rang.insert(rang);
        }
        Ok(())
    }
}
