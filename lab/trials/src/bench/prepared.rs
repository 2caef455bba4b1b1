// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures Xen's own share: makes the same hypercalls on prepared arrays, without checking the
//! results.
//!
//! It holds addresses and pages of its own. It also does what no service does: it makes free frames
//! count as not known to be clean, as in a newly booted guest.
#![expect(unsafe_code, reason = "hypercalls and pages without the services")]

use alloc::vec;
use alloc::vec::Vec;

use drivers::memory::{Page, PageSlot, Platform};
use drivers::{ClaimedGrant, Error};
use tasks::verdict::Why;
use xen_sys::grant_table::{
    Gntcopy, Gntmap, GnttabCopy, GnttabCopyPtr, GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus,
};
use xen_sys::xen::DOMID_SELF;

/// Arrays for hypercalls.
pub struct Prepared<'a, X: Platform> {
    xen: &'a X,
    slot: Option<PageSlot>,
    page: Option<Page>,
    maps: Vec<GnttabMapGrantRef>,
    unmaps: Vec<GnttabUnmapGrantRef>,
    copies: Vec<GnttabCopy>,
}

impl<'a, X: Platform> Prepared<'a, X> {
    /// Prepares arrays for `pages` pages.
    pub fn new(xen: &'a X, pages: u32) -> Result<Self, Why> {
        let slot = xen.reserve_slot(pages).ok_or(Error::NO_MEMORY)?;
        xen.prepare_slot(&slot, 0..pages).map_err(|_| Error::NO_MEMORY)?;
        let maps = (0..pages).map(|page| {
            let host = xen.host_addr(&slot, page);
            GnttabMapGrantRef {
                host_addr: host.addr,
                flags: Gntmap::HOST_MAP | host.flags,
                ..Default::default()
            }
        });
        let maps = maps.collect();
        let page = xen.alloc_page().ok_or(Error::NO_MEMORY)?;
        let pages = pages as usize;
        let unmaps = vec![GnttabUnmapGrantRef::default(); pages];
        let copies = vec![GnttabCopy::default(); pages];
        Ok(Self { xen, slot: Some(slot), page: Some(page), maps, unmaps, copies })
    }

    /// Fills in what to map, and how.
    pub fn fill(&mut self, grants: &[ClaimedGrant], read_only: bool) {
        for (op, grant) in self.maps.iter_mut().zip(grants) {
            (op.dom, op.ref_) = (grant.domid.0, grant.gref.0);
            op.flags.set(Gntmap::READONLY, read_only);
        }
    }

    /// Maps the first `n`.
    pub fn map(&mut self, n: u32) {
        let ops = &mut self.maps[..n as usize];
        // SAFETY: prepared addresses of our own slot; `fill_unmaps` and `unmap` follow.
        let _ = unsafe { self.xen.gnttab_map(ops) };
    }

    /// Fills in what to unmap: what was just mapped.
    pub fn fill_unmaps(&mut self, n: u32) -> Result<(), Why> {
        for (unmap, map) in self.unmaps.iter_mut().zip(&self.maps).take(n as usize) {
            if map.status != GrantStatus::OKAY {
                return Err(Why::new(format_args!("Xen refused to map: {}", map.status.0)));
            }
            (unmap.host_addr, unmap.handle) = (map.host_addr, map.handle);
        }
        Ok(())
    }

    /// Unmaps the first `n`.
    pub fn unmap(&mut self, n: u32) {
        let ops = &mut self.unmaps[..n as usize];
        // SAFETY: what was just mapped, which nobody has accessed.
        let _ = unsafe { self.xen.gnttab_unmap(ops) };
    }

    /// Fills in what to copy: `len` bytes of each grant to a page of our own.
    pub fn fill_copies(&mut self, grants: &[ClaimedGrant], len: u16) {
        let frame = self.page.as_ref().map_or(0, Page::gfn);
        for (op, grant) in self.copies.iter_mut().zip(grants) {
            *op = GnttabCopy {
                source: GnttabCopyPtr {
                    u: grant.gref.0.into(),
                    domid: grant.domid.0,
                    ..Default::default()
                },
                dest: GnttabCopyPtr { u: frame, domid: DOMID_SELF, ..Default::default() },
                len,
                flags: Gntcopy::SOURCE_GREF,
                ..Default::default()
            };
        }
    }

    /// Copies the first `n`.
    pub fn copy(&mut self, n: u32) {
        let ops = &mut self.copies[..n as usize];
        // SAFETY: from grants to a page that `self` holds.
        let _ = unsafe { self.xen.gnttab_copy(ops) };
    }
}

impl<X: Platform> Drop for Prepared<'_, X> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            // SAFETY: everything mapped there has been unmapped.
            unsafe { self.xen.release_slot(slot) };
        }
        if let Some(page) = self.page.take() {
            // SAFETY: no entry names it. Xen has copied to it, so it's not clean.
            let page = unsafe { Page::new(page.addr(), page.gfn(), false) };
            // SAFETY: as above.
            unsafe { self.xen.free_page(page) };
        }
    }
}

/// Makes `frames` free frames count as not known to be clean.
pub fn soil<X: Platform>(xen: &X, frames: u32) {
    let mut pages = Vec::new();
    for _ in 0..frames {
        pages.extend(xen.alloc_page());
    }
    for page in pages {
        // SAFETY: it replaces the page that it's made from.
        let page = unsafe { Page::new(page.addr(), page.gfn(), false) };
        // SAFETY: no entry names it.
        unsafe { xen.free_page(page) };
    }
}
