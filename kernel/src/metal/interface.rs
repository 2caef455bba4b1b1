// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two ways in which Xen runs a guest, and the choice between them.
//!
//! The image has an entry point for each (`pv/entry.rs`, `pvh/entry.rs`). The one that Xen enters
//! chooses, once; everything else calls [`interface`] without knowing which it is.
#![expect(unsafe_code, reason = "implementors change what addresses mean")]

use core::fmt::Debug;
use core::sync::atomic::AtomicU64;

use drivers::memory::HostAddr;
use drivers::{Errno, PortNumber};
use spin::Once;
use xen_sys::grant_table::Gntmap;

use super::memory::tables::Source;
use super::memory::{Gfn, Pfn};
use crate::Mode;
use crate::hypercall::{self, Instruction};

/// The parts of Xen's interface that differ between the modes.
pub trait Interface: Debug + Sync {
    /// The mode's name.
    fn mode(&self) -> Mode;

    /// The GFN of frame `pfn`, unless the domain has a hole there.
    fn gfn_of(&self, pfn: Pfn) -> Option<Gfn>;

    /// The GFNs of the frames that the domain started with, indexed by PFN, if there is such a
    /// list: for looking up many at once.
    fn gfns(&self) -> Option<&'static [AtomicU64]> {
        None
    }

    /// The PFN of `gfn`; `None` if it isn't ours. `gfn` comes from [`Interface::gfn_of`], a
    /// page-table entry or the builder.
    fn pfn_of(&self, gfn: Gfn) -> Option<Pfn>;

    /// Sets the page-table entry for `address`, whose L1 table exists, and flushes the old
    /// translation.
    ///
    /// # Errors
    /// Xen's; EFAULT without an L1 table.
    ///
    /// # Safety
    /// Must not unmap, or take a needed permission from, memory that Rust objects occupy.
    unsafe fn set_page(&self, address: usize, entry: u64) -> Result<(), Errno>;

    /// Links `pfn`, a frame filled in as a page table and mapped at `address`, into the table one
    /// level up, whose entry at guest-physical (under PV, machine) address `above` is empty.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// Nobody else uses the frame, now or later.
    unsafe fn hang_table(&self, above: u64, pfn: Pfn, address: usize) -> Result<(), Errno>;

    /// The value of the L1 entry for `address` in the window as long as nobody has set it.
    fn window_entry(&self, address: usize) -> u64;

    /// Unmaps frame `pfn` from `address`, so that Xen can take its GFN.
    ///
    /// # Errors
    /// Xen's; all is as it was.
    ///
    /// # Safety
    /// No Rust object lives there.
    unsafe fn remove_page(&self, pfn: Pfn, address: usize) -> Result<(), Errno>;

    /// Makes `gfn` the memory of frame `pfn`, at `address`.
    ///
    /// # Errors
    /// Xen's; ENOSPC where no room was made; all is as it was.
    ///
    /// # Safety
    /// `pfn` has no memory, and `gfn` belongs to this domain and is used nowhere else.
    unsafe fn place_page(&self, pfn: Pfn, address: usize, gfn: Gfn) -> Result<(), Errno>;

    /// Makes room for frame `pfn`, which the domain didn't have at its start.
    ///
    /// # Errors
    /// ENOSPC if it can't exist; ENOMEM without frames for page tables.
    fn make_room(&self, take: Source<'_>, pfn: Pfn) -> Result<(), Errno>;

    /// Applies W^X to the initial mapping, and unmaps everything else that the boot needed.
    ///
    /// # Errors
    /// Xen's; ENOMEM without frames for tables.
    fn protect(&self) -> Result<(), Errno>;

    /// Maps shared_info at `address`, whose L1 table exists.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// The address is used for this page only.
    unsafe fn map_shared_info(&self, address: usize) -> Result<(), Errno>;

    /// Maps frame `index` of the grant table, reported by Xen as `told`, at `address`.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// The address is used for this frame only.
    unsafe fn map_grant_frame(&self, address: usize, index: usize, told: u64) -> Result<(), Errno>;

    /// The `host_addr` of a map operation for `address` in the window; for `None`, one that Xen
    /// refuses.
    fn host_addr(&self, address: Option<usize>) -> u64;

    /// The same, with the kind of address, and the number of following pages that it is valid for.
    fn host_run(&self, address: usize) -> HostAddr {
        let addr = self.host_addr(Some(address));
        HostAddr { addr, flags: Gntmap::empty(), pages: 1, stride: 0 }
    }

    /// Stores one byte; returns whether that changed memory.
    ///
    /// # Safety
    /// Only the caller relies on the byte at `address`.
    unsafe fn probe_write(&self, address: usize, value: u8) -> bool;

    /// The console's ring, if there is one.
    fn console(&self) -> Option<Ring>;

    /// The ring of xenstore, if there is one.
    ///
    /// # Errors
    /// ENODEV if it is missing but should exist.
    fn xenstore(&self) -> Result<Option<Ring>, Errno>;

    /// Prints without a ring.
    fn write_without_ring(&self, bytes: &[u8]);

    /// Registers the handlers of exceptions and events.
    ///
    /// # Errors
    /// Xen's.
    fn set_traps(&self) -> Result<(), Errno>;

    /// The address of the last page fault, if it can be known yet.
    fn fault_address(&self) -> Option<u64>;

    /// Sleeps until an event is pending; returns at once if one is.
    fn sleep(&self);
}

/// A page that the builder shares with a daemon, permanently mapped, and its event channel port.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// The page's address.
    pub page: usize,
    /// The port.
    pub port: PortNumber,
}

static INTERFACE: Once<&'static dyn Interface> = Once::new();

/// What the entry point found.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Number of frames that the domain has.
    pub nr_pages: Pfn,
    /// The end of what the builder loaded, whose last page is the boot stack.
    pub used_end: Pfn,
    /// The level 4 page table.
    pub root: Pfn,
    /// The command line, without the terminating zero.
    pub command_line: &'static [u8],
}

static START: Once<Start> = Once::new();

/// Chooses the mode: the first statement of each entry.
pub fn choose(interface: &'static dyn Interface, instruction: Instruction) {
    hypercall::choose(instruction);
    INTERFACE.call_once(|| interface);
}

/// The chosen mode.
pub fn interface() -> &'static dyn Interface {
    *INTERFACE.get().expect("the first statement of the boot chooses it")
}

/// Stores what the entry point found.
pub fn found(start: Start) {
    START.call_once(|| start);
}

/// What the entry point found; until then, a domain without memory.
pub fn start() -> &'static Start {
    const NOTHING: Start =
        Start { nr_pages: Pfn(0), used_end: Pfn(0), root: Pfn(0), command_line: &[] };
    START.get().unwrap_or(&NOTHING)
}
