// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's own share: the same hypercalls, on arrays that are ready, with nothing looked at after.
//!
//! It holds addresses and pages of its own. Also what no service does: frames that are free but
//! not known to be clean, as a guest that has just booted has them.
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
    /// For so many pages.
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

    /// Says what is to be mapped, and how.
    pub fn fill(&mut self, grants: &[ClaimedGrant], read_only: bool) {
        for (op, grant) in self.maps.iter_mut().zip(grants) {
            (op.dom, op.ref_) = (grant.domid.0, grant.gref.0);
            op.flags.set(Gntmap::READONLY, read_only);
        }
    }

    /// Maps the first `n`.
    pub fn map(&mut self, n: u32) {
        let ops = &mut self.maps[..n as usize];
        // SAFETY: prepared addresses of our own slot; `fill_unmaps` and `unmap` come next.
        let _ = unsafe { self.xen.gnttab_map(ops) };
    }

    /// Says what is to be unmapped: what was mapped just now.
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
        // SAFETY: what was mapped just now, which nobody looked at.
        let _ = unsafe { self.xen.gnttab_unmap(ops) };
    }

    /// Says what is to be copied: so many bytes of each grant to a page of ours.
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
        // SAFETY: from grants to a page that is held here.
        let _ = unsafe { self.xen.gnttab_copy(ops) };
    }
}

impl<X: Platform> Drop for Prepared<'_, X> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            // SAFETY: all that was mapped there was unmapped.
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

/// Forgets of so many free frames that they are clean.
pub fn soil<X: Platform>(xen: &X, frames: u32) {
    let mut pages = Vec::new();
    for _ in 0..frames {
        pages.extend(xen.alloc_page());
    }
    for page in pages {
        // SAFETY: the page that is consumed here.
        let page = unsafe { Page::new(page.addr(), page.gfn(), false) };
        // SAFETY: no entry names it.
        unsafe { xen.free_page(page) };
    }
}
