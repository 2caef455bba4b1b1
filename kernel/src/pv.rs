// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code for 64-bit PV guests only: a kernel in ring 3, whose page tables change by hypercall.
//!
//! Page tables must be mapped read-only, as Xen demands.
#![expect(unsafe_code, reason = "an implementor of the kernel's own seam")]

mod entry;
mod hypercall;
mod p2m;
mod protect;
mod start_info;
mod traps;

use core::sync::atomic::{AtomicU64, Ordering};

use drivers::memory::HostAddr;
use drivers::{Errno, Hypervisor};
use spin::Mutex;
use xen_sys::grant_table::Gntmap;
use xen_sys::xen::{MmuUpdate, StartInfo, Uvmf};

use crate::metal::interface::{Interface, Ring, choose};
use crate::metal::memory::tables::{DATA, READ_ONLY, Source, TABLE, entry};
use crate::metal::memory::{Gfn, PAGE_SIZE, Pfn, REGION_SIZE, TABLE_ENTRIES, access, translate};
use crate::metal::{boot, shared_info};
use crate::{Mode, Xen};

/// The first Rust code to run, on the domain builder's one-page stack.
extern "C" fn on_boot_stack(start_info: *const StartInfo, stack_end: usize) -> ! {
    choose(&Pv, hypercall::syscall);
    // SAFETY: what Xen passed in RSI, and RSP at entry.
    unsafe { start_info::init(start_info, stack_end) };
    boot::go_on()
}

/// The L1 table used last. Tables are never removed, and walking to one is slow.
static KNOWN: Mutex<Known> = Mutex::new(Known { region: 0, table: 0 });

struct Known {
    /// The region it maps, in units of 2 MiB; 0, where there is no window, means none.
    region: usize,
    /// Its machine address.
    table: u64,
}

/// The PV implementation of the kernel's interface.
#[derive(Debug)]
struct Pv;

impl Interface for Pv {
    fn mode(&self) -> Mode {
        Mode::Pv
    }

    fn gfn_of(&self, pfn: Pfn) -> Option<Gfn> {
        p2m::mfn_of(pfn)
    }

    fn gfns(&self) -> Option<&'static [AtomicU64]> {
        Some(start_info::frame_list())
    }

    fn pfn_of(&self, gfn: Gfn) -> Option<Pfn> {
        p2m::pfn_of(gfn)
    }

    unsafe fn set_page(&self, address: usize, entry: u64) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { hypercall::update_va_mapping(address, entry, Uvmf::INVLPG) }
    }

    /// Xen validates the table when it is linked, and refuses it if it is mapped writable anywhere
    /// (xen/arch/x86/mm.c, get_page_and_type).
    unsafe fn hang_table(&self, above: u64, pfn: Pfn, address: usize) -> Result<(), Errno> {
        let mfn = p2m::mfn_of(pfn).ok_or(Errno::EFAULT)?;
        // SAFETY: the frame stays where it is and is only read from now on.
        unsafe { self.set_page(address, entry(mfn, READ_ONLY)) }?;
        // SAFETY: the entry above was empty, so no address loses its memory.
        unsafe { hypercall::mmu_update(&mut [MmuUpdate { ptr: above, val: entry(mfn, TABLE) }]) }
    }

    fn window_entry(&self, _address: usize) -> u64 {
        0
    }

    unsafe fn remove_page(&self, pfn: Pfn, address: usize) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { self.set_page(address, 0) }?;
        p2m::set(pfn, None)
    }

    unsafe fn place_page(&self, pfn: Pfn, address: usize, gfn: Gfn) -> Result<(), Errno> {
        p2m::set(pfn, Some(gfn))?;
        // SAFETY: nothing is there, and nobody else has the frame.
        let placed = unsafe { self.set_page(address, entry(gfn, DATA)) };
        if placed.is_err() {
            p2m::set(pfn, None)?;
        }
        placed
    }

    fn make_room(&self, take: Source<'_>, pfn: Pfn) -> Result<(), Errno> {
        p2m::make_room(take, pfn)
    }

    fn protect(&self) -> Result<(), Errno> {
        protect::init()
    }

    unsafe fn map_shared_info(&self, address: usize) -> Result<(), Errno> {
        let mfn = start_info::shared_info().ok_or(Errno::EFAULT)?;
        // SAFETY: the caller's promise.
        unsafe { self.set_page(address, entry(mfn, DATA)) }
    }

    unsafe fn map_grant_frame(&self, address: usize, _: usize, told: u64) -> Result<(), Errno> {
        // SAFETY: the caller's promise.
        unsafe { self.set_page(address, entry(Gfn(told), DATA)) }
    }

    /// A virtual address. Nothing is mapped at 0.
    fn host_addr(&self, address: Option<usize>) -> u64 {
        address.unwrap_or(0) as u64
    }

    /// Giving the machine address of the L1 entry itself saves Xen a walk through our tables. The
    /// offset is the same for everything that the table maps.
    fn host_run(&self, address: usize) -> HostAddr {
        let (region, index) = (address / REGION_SIZE, address / PAGE_SIZE % TABLE_ENTRIES);
        let known = &mut *KNOWN.lock();
        if known.region != region {
            let Some(entry) = translate::entry(region * REGION_SIZE, 1) else {
                let addr = self.host_addr(None);
                return HostAddr { addr, flags: Gntmap::empty(), pages: 1, stride: 0 };
            };
            *known = Known { region, table: entry.physical };
        }
        let stride = size_of::<u64>() as u64;
        let (addr, pages) = (known.table + index as u64 * stride, (TABLE_ENTRIES - index) as u32);
        HostAddr { addr, flags: Gntmap::CONTAINS_PTE, pages, stride }
    }

    unsafe fn probe_write(&self, address: usize, value: u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { access::probe_write(address, value) }
    }

    fn console(&self) -> Option<Ring> {
        start_info::console()
    }

    fn xenstore(&self) -> Result<Option<Ring>, Errno> {
        Ok(start_info::xenstore())
    }

    /// In dom0's place this is the console; elsewhere a debug Xen prints it, and any other refuses.
    fn write_without_ring(&self, bytes: &[u8]) {
        let _ = Xen::HERE.console_io_write(bytes);
    }

    fn set_traps(&self) -> Result<(), Errno> {
        traps::init()
    }

    fn fault_address(&self) -> Option<u64> {
        shared_info::vcpu().map(|vcpu| vcpu.arch.cr2.load(Ordering::Relaxed))
    }

    fn sleep(&self) {
        hypercall::sched_block();
        if let Some(vcpu) = shared_info::vcpu() {
            vcpu.evtchn_upcall_mask.store(1, Ordering::SeqCst);
        }
    }
}
