// SPDX-License-Identifier: MIT OR Apache-2.0
//! The [`Interface`] of a PVH guest.
#![expect(unsafe_code, reason = "an implementor of the kernel's own seam")]

use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering};

use drivers::Errno;
use x86_64::instructions::port::PortWriteOnly;
use x86_64::registers::control::Cr2;
use xen_sys::memory::Mapspace;

use super::{boot, hypercall, paging, rings, traps, window};
use crate::Mode;
use crate::metal::interface::{Interface, Ring};
use crate::metal::memory::tables::{DATA, Source, entry};
use crate::metal::memory::{Gfn, Pfn};
use crate::metal::shared_info;

/// Bytes written to this port go to Xen's log.
const DEBUG_PORT: u16 = 0xe9;

/// The PVH implementation of the kernel's interface.
#[derive(Debug)]
pub struct Pvh;

impl Interface for Pvh {
    fn mode(&self) -> Mode {
        Mode::Pvh
    }

    fn gfn_of(&self, pfn: Pfn) -> Option<Gfn> {
        (pfn < boot::room()).then_some(Gfn(pfn.0))
    }

    fn pfn_of(&self, gfn: Gfn) -> Option<Pfn> {
        Some(Pfn(gfn.0)).filter(|&pfn| pfn < boot::room())
    }

    unsafe fn set_page(&self, address: usize, entry: u64) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { paging::set_page(address, entry) }
    }

    unsafe fn hang_table(&self, above: u64, pfn: Pfn, _: usize) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { paging::hang_table(above, pfn) };
        Ok(())
    }

    unsafe fn remove_page(&self, _: Pfn, address: usize) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { paging::set_page(address, 0) }
    }

    unsafe fn place_page(&self, _: Pfn, address: usize, gfn: Gfn) -> Result<(), Errno> {
        // SAFETY: nothing is there, and nobody else has the frame.
        unsafe { paging::set_page(address, entry(gfn, DATA)) }
    }

    fn make_room(&self, _: Source<'_>, pfn: Pfn) -> Result<(), Errno> {
        self.gfn_of(pfn).map(drop).ok_or(Errno::ENOSPC)
    }

    fn window_entry(&self, address: usize) -> u64 {
        window::page_entry(address)
    }

    fn protect(&self) -> Result<(), Errno> {
        paging::protect()
    }

    unsafe fn map_shared_info(&self, address: usize) -> Result<(), Errno> {
        let frame = window::frame(address).ok_or(Errno::ENOSPC)?;
        // SAFETY: above all memory, and used for this page only, as the caller promises.
        unsafe { hypercall::add_to_physmap(Mapspace::SHARED_INFO, 0, frame) }
    }

    unsafe fn map_grant_frame(&self, address: usize, index: usize, _: u64) -> Result<(), Errno> {
        let frame = window::frame(address).ok_or(Errno::ENOSPC)?;
        // SAFETY: above all memory, and used for this frame only, as the caller promises.
        unsafe { hypercall::add_to_physmap(Mapspace::GRANT_TABLE, index as u64, frame) }
    }

    fn host_addr(&self, address: Option<usize>) -> u64 {
        window::host_addr(address)
    }

    /// Xen silently drops a store to a read-only grant, without a fault, so only reading back can
    /// tell. If the byte already has the value, it is changed first.
    unsafe fn probe_write(&self, address: usize, value: u8) -> bool {
        let byte = ptr::with_exposed_provenance_mut(address);
        // SAFETY: mapped, as the caller promises; whoever else uses it, as an atomic.
        let byte = unsafe { AtomicU8::from_ptr(byte) };
        let store = |value| {
            byte.store(value, Ordering::SeqCst);
            byte.load(Ordering::SeqCst) == value
        };
        (byte.load(Ordering::SeqCst) != value || store(!value)) && store(value)
    }

    fn console(&self) -> Option<Ring> {
        rings::console()
    }

    fn xenstore(&self) -> Result<Option<Ring>, Errno> {
        rings::xenstore().ok_or(Errno::ENODEV).map(Some)
    }

    fn write_without_ring(&self, bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: Xen takes any byte; the port changes nothing else.
            unsafe { PortWriteOnly::new(DEBUG_PORT).write(byte) };
        }
    }

    fn set_traps(&self) -> Result<(), Errno> {
        traps::init()
    }

    fn fault_address(&self) -> Option<u64> {
        Some(Cr2::read_raw())
    }

    /// Interrupts are enabled only for the wait, so an event that came since the check ends it.
    /// `SCHEDOP_block` would check for a deliverable interrupt, find none, and sleep.
    fn sleep(&self) {
        let pending = shared_info::vcpu()
            .is_some_and(|vcpu| vcpu.evtchn_upcall_pending.load(Ordering::SeqCst) != 0);
        if !pending {
            traps::pvh_wait();
        }
    }
}
