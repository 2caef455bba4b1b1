// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory on FakeXen: frames of bytes, page tables by address, address space.
//!
//! A PVH guest's page tables never change. Its address space without memory leads to guest-physical
//! addresses above its memory, which are holes except while a grant is mapped there. On Xen, a read
//! of a hole gives all ones; here it panics.
#![expect(unsafe_code, reason = "makes pages and slots")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::WorldState;
use super::domain::{Domain, Mode};
use drivers::Errno;
use drivers::memory::{FrameCount, HostAddr, PAGE_SIZE, Page, PageSlot};
use xen_sys::grant_table::Gntmap;

/// Where domains see their own memory, at addresses that no two of them share.
const OWN_BASE: usize = 0x1000_0000_0000;
/// Where a domain's address space without memory begins.
const SLOT_BASE: usize = 0x7000_0000_0000;
/// The guest-physical address that `SLOT_BASE` leads to in a translated domain.
const PHYSICAL_BASE: u64 = 0x80_0000_0000;
/// A guest-physical address beyond any processor's limit: Xen refuses to map there.
const NO_PHYSICAL: u64 = !0xFFF;
/// The most memory that a domain can have, in frames.
const MAX_FRAMES: u64 = 1 << 20;

/// Returns the GFN of a domain's first page. Under PV it's a machine frame; under PVH it's the same
/// for all domains, right above the first MiB.
pub(super) fn first_gfn(mode: Mode, domid: u16) -> u64 {
    match mode {
        Mode::Pv => (u64::from(domid) + 1) * MAX_FRAMES,
        Mode::Pvh => 0x100,
    }
}

/// The machine address of the page-table entries for that address space, and their length in bytes.
/// Each restore moves them up by that length.
const ENTRY_BASE: u64 = 0x10_0000_0000;
const ENTRIES: u64 = 1 << 36;
/// Bytes of an entry.
const ENTRY: u64 = 8;

/// One machine frame. Each `Arc` keeps it alive, like a page reference in Xen.
///
/// Its bytes are allocated at the first access. They needn't be atomic: every access happens inside
/// FakeXen, one at a time.
#[derive(Debug, Default)]
pub(super) struct MachineFrame(Mutex<Vec<u8>>);

impl MachineFrame {
    pub(super) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // New memory is not zero, to catch guests that assume it is.
        bytes.resize(PAGE_SIZE, 0xA5);
        bytes
    }

    /// Copies from another frame, or from elsewhere in the same frame.
    pub(super) fn copy_from(&self, at: usize, source: &MachineFrame, from: usize, len: usize) {
        // Through a buffer, since the ranges may overlap.
        let buffer = source.bytes()[from..from + len].to_vec();
        self.bytes()[at..at + len].copy_from_slice(&buffer);
    }
}

/// One page-table entry.
#[derive(Clone, Debug)]
pub(super) struct Pte {
    /// The number by which the frame's owner knows it.
    pub(super) gfn: u64,
    pub(super) frame: Arc<MachineFrame>,
    pub(super) writable: bool,
    /// The handle of the grant mapping; `None` for the domain's own memory.
    pub(super) handle: Option<u32>,
}

/// A reserved range of addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressRange {
    pub(super) pages: u32,
    /// Pages whose L1 tables exist.
    pub(super) prepared: u32,
}

impl Domain {
    pub(super) fn alloc_page(&mut self) -> Option<Page> {
        match &mut self.pages_until_failure {
            Some(0) => {
                self.pages_until_failure = None;
                return None;
            }
            Some(n) => *n -= 1,
            None => {}
        }
        let gfn = self.free.pop()?;
        let (addr, frame) = (self.own_addr(self.pfns[&gfn]), self.frames[&gfn].clone());
        self.ptes.insert(addr, Pte { gfn, frame, writable: true, handle: None });
        let clean = self.clean.remove(&gfn);
        // SAFETY: the frame was free, and belongs to this page from now on.
        Some(unsafe { Page::new(addr, gfn, clean) })
    }

    pub(super) fn frames(&self) -> FrameCount {
        // A frame without a place doesn't count yet.
        let total = self.pfns.len() as u32;
        FrameCount { total, free: self.free.len() as u32, domain: total }
    }

    pub(super) fn reserve_slot(&mut self, pages: u32) -> Option<PageSlot> {
        let last = self.slots.last_key_value();
        // One page apart, to catch accesses beyond a slot's end.
        let addr =
            last.map_or(SLOT_BASE, |(addr, slot)| addr + (slot.pages as usize + 1) * PAGE_SIZE);
        self.slots.insert(addr, AddressRange { pages, prepared: 0 });
        // SAFETY: the addresses lie above every reserved slot.
        Some(unsafe { PageSlot::new(addr, pages) })
    }

    pub(super) fn prepare_slot(&mut self, slot: &PageSlot, pages: Range<u32>) -> Result<(), Errno> {
        let known = self.slots.get_mut(&slot.addr()).expect("a slot that was reserved");
        assert!(pages.end <= known.pages, "prepared beyond the slot");
        assert!(pages.start <= known.prepared, "pages before them are not prepared");
        if pages.end > known.prepared && self.pages_until_failure == Some(0) {
            self.pages_until_failure = None;
            return Err(Errno::ENOMEM);
        }
        known.prepared = known.prepared.max(pages.end);
        Ok(())
    }

    pub(super) fn release_slot(&mut self, slot: PageSlot) {
        let end = slot.addr() + slot.pages() as usize * PAGE_SIZE;
        let mapped = self.ptes.range(slot.addr()..end).count();
        assert_eq!(mapped, 0, "gave back address space with {mapped} pages mapped in it");
        self.slots.remove(&slot.addr()).expect("a slot that was reserved");
    }

    /// Returns the address of a page of its own memory, by PFN.
    pub(super) fn own_addr(&self, pfn: u64) -> usize {
        OWN_BASE + (first_gfn(Mode::Pv, self.domid) + pfn) as usize * PAGE_SIZE
    }

    /// Whether a grant can be mapped at an address: under PV it has an L1 table, under PVH it leads
    /// to a guest-physical address.
    fn is_prepared(&self, addr: usize) -> bool {
        self.slots
            .range(..=addr)
            .next_back()
            .is_some_and(|(first, slot)| addr < first + slot.prepared as usize * PAGE_SIZE)
    }

    /// Returns what a map operation names for the page at an address, and how many pages from there
    /// have consecutive ones.
    ///
    /// Under PV that is the machine address of its page-table entry, which changes with each
    /// restore.
    pub(super) fn host_addr(&self, addr: usize) -> HostAddr {
        let ready = || {
            let (first, slot) = self.slots.range(..=addr).next_back()?;
            let end = first + slot.prepared as usize * PAGE_SIZE;
            Some((end.checked_sub(addr)? / PAGE_SIZE) as u32).filter(|ready| *ready > 0)
        };
        let offset = (addr - SLOT_BASE) as u64;
        let (addr, flags, stride, pages) = match self.config.mode {
            Mode::Pv => {
                let entry = offset / PAGE_SIZE as u64 * ENTRY;
                let addr = ENTRY_BASE + u64::from(self.restores) * ENTRIES + entry;
                (addr, Gntmap::CONTAINS_PTE, ENTRY, u32::MAX)
            }
            Mode::Pvh => {
                let (ready, flags) = (ready(), Gntmap::empty());
                let addr = ready.map_or(NO_PHYSICAL, |_| PHYSICAL_BASE + offset);
                (addr, flags, PAGE_SIZE as u64, ready.unwrap_or(1))
            }
        };
        HostAddr { addr, flags, pages, stride }
    }

    /// Returns the virtual address that a map operation's `host_addr` stands for; `None` if Xen
    /// refuses to map there.
    ///
    /// # Panics
    /// Where Xen would map but a correct guest never does: over its own memory, at addresses that
    /// it didn't reserve, and at the machine address that an entry had before a restore.
    pub(super) fn address_of(&self, host_addr: u64, flags: Gntmap) -> Option<usize> {
        let entry = flags.contains(Gntmap::CONTAINS_PTE);
        let addr = match self.config.mode {
            Mode::Pv if entry => {
                let entry = host_addr.checked_sub(ENTRY_BASE)?;
                let (era, entry) = (entry / ENTRIES, entry % ENTRIES);
                assert_eq!(era, self.restores.into(), "a machine address from before the restore");
                SLOT_BASE + (entry / ENTRY) as usize * PAGE_SIZE
            }
            Mode::Pv => host_addr as usize,
            Mode::Pvh if host_addr == NO_PHYSICAL => return None,
            Mode::Pvh => {
                let domid = self.domid;
                let ram = self.is_ram(host_addr / PAGE_SIZE as u64);
                assert!(!ram, "domain {domid} maps a grant over its memory at {host_addr:#x}");
                let addr = host_addr.checked_sub(PHYSICAL_BASE);
                let addr = addr.map(|offset| SLOT_BASE + offset as usize);
                let reserved = addr.filter(|addr| self.is_prepared(*addr));
                assert!(
                    reserved.is_some(),
                    "domain {domid} maps a grant at {host_addr:#x}, which it did not reserve"
                );
                return reserved;
            }
        };
        self.is_prepared(addr).then_some(addr)
    }

    fn frame_at(&self, addr: usize, write: bool) -> &MachineFrame {
        let pte = self.ptes.get(&(addr & !(PAGE_SIZE - 1)));
        let pte = pte.unwrap_or_else(|| match self.config.mode {
            Mode::Pvh if self.is_prepared(addr) => panic!(
                "a hole: {addr:#x} leads to guest-physical {:#x}, which is empty",
                self.host_addr(addr).addr
            ),
            _ => panic!("page fault: nothing is mapped at {addr:#x}"),
        });
        assert!(pte.writable || !write, "page fault: {addr:#x} is read-only");
        &pte.frame
    }

    pub(super) fn read(&self, src: usize, dst: &mut [u8]) {
        let (mut addr, mut rest) = (src, dst);
        while !rest.is_empty() {
            let at = addr % PAGE_SIZE;
            let (now, later) = rest.split_at_mut(rest.len().min(PAGE_SIZE - at));
            now.copy_from_slice(&self.frame_at(addr, false).bytes()[at..at + now.len()]);
            (addr, rest) = (addr + now.len(), later);
        }
    }

    pub(super) fn write(&self, dst: usize, src: &[u8]) {
        let (mut addr, mut rest) = (dst, src);
        while !rest.is_empty() {
            let at = addr % PAGE_SIZE;
            let (now, later) = rest.split_at(rest.len().min(PAGE_SIZE - at));
            self.frame_at(addr, true).bytes()[at..at + now.len()].copy_from_slice(now);
            (addr, rest) = (addr + now.len(), later);
        }
    }

    pub(super) fn load_u32(&self, addr: usize) -> u32 {
        assert!(addr.is_multiple_of(4), "a word at {addr:#x} is not aligned");
        let mut bytes = [0; 4];
        self.read(addr, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    pub(super) fn store_u32(&self, addr: usize, value: u32) {
        assert!(addr.is_multiple_of(4), "a word at {addr:#x} is not aligned");
        self.write(addr, &value.to_le_bytes());
    }

    /// Changes a byte in one step. Returns its old value.
    pub(super) fn change_u8(&self, addr: usize, change: impl Fn(u8) -> u8) -> u8 {
        let mut byte = [0];
        self.read(addr, &mut byte);
        self.write(addr, &byte.map(change));
        let [before] = byte;
        before
    }

    pub(super) fn probe_write(&self, addr: usize, value: u8) -> bool {
        let writable = self.ptes.get(&(addr & !(PAGE_SIZE - 1))).is_some_and(|pte| pte.writable);
        if writable {
            self.write(addr, &[value]);
        }
        writable
    }
}

impl WorldState {
    pub(super) fn free_page(&mut self, domid: u16, page: Page) {
        let gfn = page.gfn();
        let domain = self.domain(domid);
        // The domain itself holds the frame twice: in `frames` and in its own page table.
        let holders = Arc::strong_count(&domain.frames[&gfn]);
        assert_eq!(holders, 2, "freed a page that is still mapped");
        let named = domain.entries_naming(gfn);
        assert_eq!(named, [], "freed a page that live grant entries name");
        if page.is_clean() {
            let clean = domain.frames[&gfn].bytes()[..] == [0; PAGE_SIZE];
            assert!(clean, "freed a page as clean that isn't zeroed");
            domain.clean.insert(gfn);
        }
        let pte = domain.ptes.remove(&page.addr());
        assert_eq!(pte.map(|pte| pte.gfn), Some(gfn), "freed a page that is not allocated");
        domain.free.push(gfn);
    }
}
