//! Memory of the fake: frames of bytes, page tables by address, address space.
#![expect(unsafe_code, reason = "makes pages and slots")]

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use super::WorldState;
use super::domain::Domain;
use drivers::Errno;
use drivers::memory::{FrameCount, PAGE_SIZE, Page, PageSlot};

/// Where a domain sees its own memory: by machine frame, so that addresses never coincide.
const OWN_BASE: usize = 0x1000_0000_0000;
/// Where its address space without memory begins.
const SLOT_BASE: usize = 0x7000_0000_0000;

/// One machine frame. Whoever holds the `Arc` keeps it, as Xen's page references do.
///
/// Its bytes come into being when they are first looked at. They are plain: every access happens
/// inside the fake, one at a time.
#[derive(Debug, Default)]
pub(super) struct MachineFrame(Mutex<Vec<u8>>);

impl MachineFrame {
    pub(super) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Memory is not zero when it's handed out; a guest that trusts it is found out.
        bytes.resize(PAGE_SIZE, 0xA5);
        bytes
    }

    /// Copies from another frame, or from another place in the same.
    pub(super) fn copy_from(&self, at: usize, source: &MachineFrame, from: usize, len: usize) {
        // By way of a buffer, so that ranges may overlap.
        let buffer = source.bytes()[from..from + len].to_vec();
        self.bytes()[at..at + len].copy_from_slice(&buffer);
    }
}

/// One page-table entry.
#[derive(Clone, Debug)]
pub(super) struct Pte {
    pub(super) mfn: u64,
    pub(super) frame: Arc<MachineFrame>,
    pub(super) writable: bool,
    /// The handle of the grant mapping that made it; `None` for the domain's own memory.
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
        let mfn = self.free.pop()?;
        let (addr, frame) = (own_addr(mfn), self.frames[&mfn].clone());
        self.ptes.insert(addr, Pte { mfn, frame, writable: true, handle: None });
        let clean = self.clean.remove(&mfn);
        // SAFETY: the frame was free and is this page's from now on.
        Some(unsafe { Page::new(addr, mfn, clean) })
    }

    pub(super) fn frames(&self) -> FrameCount {
        FrameCount { total: self.frames.len() as u32, free: self.free.len() as u32 }
    }

    pub(super) fn reserve_slot(&mut self, pages: u32) -> Option<PageSlot> {
        let last = self.slots.last_key_value();
        // One page of distance: what runs off a slot's end is found out.
        let addr =
            last.map_or(SLOT_BASE, |(addr, slot)| addr + (slot.pages as usize + 1) * PAGE_SIZE);
        self.slots.insert(addr, AddressRange { pages, prepared: 0 });
        // SAFETY: the addresses lie behind every slot that was reserved.
        Some(unsafe { PageSlot::new(addr, pages) })
    }

    pub(super) fn prepare_slot(&mut self, slot: &PageSlot, pages: u32) -> Result<(), Errno> {
        let known = self.slots.get_mut(&slot.addr()).expect("a slot that was reserved");
        assert!(pages <= known.pages, "prepared beyond the slot");
        if pages > known.prepared && self.pages_until_failure == Some(0) {
            self.pages_until_failure = None;
            return Err(Errno::ENOMEM);
        }
        known.prepared = known.prepared.max(pages);
        Ok(())
    }

    pub(super) fn release_slot(&mut self, slot: PageSlot) {
        let end = slot.addr() + slot.pages() as usize * PAGE_SIZE;
        let mapped = self.ptes.range(slot.addr()..end).count();
        assert_eq!(mapped, 0, "gave back address space with {mapped} pages mapped in it");
        self.slots.remove(&slot.addr()).expect("a slot that was reserved");
    }

    /// Whether an address has an L1 table for grants.
    pub(super) fn is_prepared(&self, addr: usize) -> bool {
        self.slots
            .range(..=addr)
            .next_back()
            .is_some_and(|(first, slot)| addr < first + slot.prepared as usize * PAGE_SIZE)
    }

    fn frame_at(&self, addr: usize, write: bool) -> &MachineFrame {
        let pte = self.ptes.get(&(addr & !(PAGE_SIZE - 1)));
        let pte = pte.unwrap_or_else(|| panic!("page fault: nothing is mapped at {addr:#x}"));
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

    /// Changes a byte in one step; what it was.
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
        let mfn = page.gfn();
        let domain = self.domain(domid);
        // The domain itself holds the frame twice: in its memory and in its own page table.
        let holders = Arc::strong_count(&domain.frames[&mfn]);
        assert_eq!(holders, 2, "freed a page that somebody maps");
        let named = domain.entries_naming(mfn);
        assert_eq!(named, [], "freed a page that live grant entries name");
        if page.is_clean() {
            let clean = domain.frames[&mfn].bytes()[..] == [0; PAGE_SIZE];
            assert!(clean, "freed a page as clean that is not");
            domain.clean.insert(mfn);
        }
        let pte = domain.ptes.remove(&page.addr());
        assert_eq!(pte.map(|pte| pte.mfn), Some(mfn), "freed a page that is not allocated");
        domain.free.push(mfn);
    }
}

fn own_addr(mfn: u64) -> usize {
    OWN_BASE + mfn as usize * PAGE_SIZE
}
