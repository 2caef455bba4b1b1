// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two ways in which Xen runs a guest, and which of them this one is.
//!
//! The image has an entry point for each (`pv/entry.rs`, `pvh/entry.rs`). The one that Xen enters
//! chooses, once; everything else asks [`interface`] and does not look which it is.
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

/// What of Xen's interface differs between the modes.
pub trait Interface: Debug + Sync {
    /// The mode's name.
    fn mode(&self) -> Mode;

    /// The GFN of frame `pfn`, unless the domain has a hole there.
    fn gfn_of(&self, pfn: Pfn) -> Option<Gfn>;

    /// The GFNs of the frames that the domain was started with, by their numbers, where there is a
    /// list of them: for many at once.
    fn gfns(&self) -> Option<&'static [AtomicU64]> {
        None
    }

    /// The frame of this domain that `gfn` is; nothing for one that isn't ours. `gfn` comes from
    /// [`Interface::gfn_of`], a page-table entry or the builder.
    fn pfn_of(&self, gfn: Gfn) -> Option<Pfn>;

    /// Sets the entry that maps the page at `address`, whose L1 table exists, and forgets the old
    /// translation.
    ///
    /// # Errors
    /// Xen's; EFAULT without an L1 table.
    ///
    /// # Safety
    /// No Rust object lives at `address` that loses its memory, or a right that is used.
    unsafe fn set_page(&self, address: usize, entry: u64) -> Result<(), Errno>;

    /// Hangs `pfn`, a frame filled as a table and mapped at `address`, into the table one level up:
    /// its entry is at guest-physical (machine) address `above` and was empty.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// Nobody else has the frame, now and later.
    unsafe fn hang_table(&self, above: u64, pfn: Pfn, address: usize) -> Result<(), Errno>;

    /// What the L1 entry for `address` of the window holds as long as nobody has set it.
    fn window_entry(&self, address: usize) -> u64;

    /// Leaves nothing at `address`, where frame `pfn` is mapped: its GFN is Xen's to take.
    ///
    /// # Errors
    /// Xen's; all is as it was.
    ///
    /// # Safety
    /// No Rust object lives there.
    unsafe fn remove_page(&self, pfn: Pfn, address: usize) -> Result<(), Errno>;

    /// Makes `gfn` the frame `pfn`, which is at `address`.
    ///
    /// # Errors
    /// Xen's; ENOSPC where no room was made; all is as it was.
    ///
    /// # Safety
    /// There is none, and `gfn` is this domain's and nowhere else.
    unsafe fn place_page(&self, pfn: Pfn, address: usize, gfn: Gfn) -> Result<(), Errno>;

    /// Makes room for frame `pfn`, which the domain was not started with.
    ///
    /// # Errors
    /// ENOSPC where there can't be one; ENOMEM without a frame for what it takes.
    fn make_room(&self, take: Source<'_>, pfn: Pfn) -> Result<(), Errno>;

    /// W^X for the initial mapping, and no other address that the boot needed.
    ///
    /// # Errors
    /// Xen's; ENOMEM without frames for tables.
    fn protect(&self) -> Result<(), Errno>;

    /// Maps the page that Xen shares with the domain at `address`, whose L1 table exists.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// The address is this page's alone.
    unsafe fn map_shared_info(&self, address: usize) -> Result<(), Errno>;

    /// Maps frame `index` of the grant table, which Xen named `told`, at `address`.
    ///
    /// # Errors
    /// Xen's.
    ///
    /// # Safety
    /// The address is this frame's alone.
    unsafe fn map_grant_frame(&self, address: usize, index: usize, told: u64) -> Result<(), Errno>;

    /// The `host_addr` of a map operation for the page at `address` of the window; for `None` one
    /// that Xen refuses.
    fn host_addr(&self, address: Option<usize>) -> u64;

    /// The same with what kind of address it is, and for how many pages behind it, too.
    fn host_run(&self, address: usize) -> HostAddr {
        let addr = self.host_addr(Some(address));
        HostAddr { addr, flags: Gntmap::empty(), pages: 1, stride: 0 }
    }

    /// Stores one byte; whether that changed memory.
    ///
    /// # Safety
    /// Nothing but the caller relies on what is at `address`.
    unsafe fn probe_write(&self, address: usize, value: u8) -> bool;

    /// The console's ring; nothing where there is none.
    fn console(&self) -> Option<Ring>;

    /// The ring of xenstore; nothing where there is none.
    ///
    /// # Errors
    /// ENODEV where there should be one.
    fn xenstore(&self) -> Result<Option<Ring>, Errno>;

    /// Prints where there is no ring.
    fn write_without_ring(&self, bytes: &[u8]);

    /// Tells where exceptions and events go.
    ///
    /// # Errors
    /// Xen's.
    fn set_traps(&self) -> Result<(), Errno>;

    /// The address of the last page fault, once it can be known.
    fn fault_address(&self) -> Option<u64>;

    /// Sleeps until an event is pending; returns at once if one is.
    fn sleep(&self);
}

/// A page that the builder shares with a daemon, mapped for good, and the port that rings for it.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// The page's address.
    pub page: usize,
    /// The port.
    pub port: PortNumber,
}

static INTERFACE: Once<&'static dyn Interface> = Once::new();

/// What the entry found.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Frames that the domain has.
    pub nr_pages: Pfn,
    /// The end of what the builder placed: the end of the boot stack, whose page is the last.
    pub used_end: Pfn,
    /// The level 4 page table.
    pub root: Pfn,
    /// The command line, without its end mark.
    pub command_line: &'static [u8],
}

static START: Once<Start> = Once::new();

/// Chooses the mode: the first statement of each entry.
pub fn choose(interface: &'static dyn Interface, instruction: Instruction) {
    hypercall::choose(instruction);
    INTERFACE.call_once(|| interface);
}

/// The mode that was chosen.
pub fn interface() -> &'static dyn Interface {
    *INTERFACE.get().expect("the first statement of the boot chooses it")
}

/// Remembers what the entry found.
pub fn found(start: Start) {
    START.call_once(|| start);
}

/// What the entry found; before it's known, a domain without memory.
pub fn start() -> Start {
    const NOTHING: Start =
        Start { nr_pages: Pfn(0), used_end: Pfn(0), root: Pfn(0), command_line: &[] };
    START.get().copied().unwrap_or(NOTHING)
}
