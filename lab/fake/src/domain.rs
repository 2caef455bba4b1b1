// SPDX-License-Identifier: MIT OR Apache-2.0
//! One domain of the fake: what it is started with, and what Xen knows of it.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::vec::Vec;

use xen_sys::grant_table::{GNTTAB_NR_RESERVED_ENTRIES, GrantEntryV1};
use xen_sys::io::console::XenconsInterface;
use xen_sys::io::xs_wire::XenstoreDomainInterface;
use xen_sys::xen::SharedInfo;

use super::events::Channel;
use super::fault::Faults;
use super::grants::{Active, Maptrack};
use super::interrupt::Interrupt;
use super::memory::{AddressRange, MachineFrame, Pte, first_gfn};
use drivers::{Counters, Errno};

/// The port that xenstore's daemon rings.
pub(super) const XENSTORE_PORT: u32 = 1;
/// The port that the console daemon rings.
pub(super) const CONSOLE_PORT: u32 = 2;

/// Which console a domain has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleKind {
    /// A ring, as every ordinary domain.
    #[default]
    Ring,
    /// Xen's own, in dom0's place.
    Hypervisor,
}

/// What kind of guest a domain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Paravirtual: a GFN is a machine frame, and Xen writes page-table entries.
    Pv,
    /// Auto-translated: a GFN is the guest's own number, and Xen maps at guest-physical addresses.
    Pvh,
}

impl Mode {
    /// What the environment says in `FAKE_XEN`: `pv`, which is the default, or `pvh`.
    ///
    /// # Panics
    /// If it says anything else.
    pub fn of_environment() -> Self {
        match std::env::var("FAKE_XEN").as_deref() {
            Ok("pv") | Err(_) => Self::Pv,
            Ok("pvh") => Self::Pvh,
            Ok(other) => panic!("FAKE_XEN={other}: pv and pvh are known"),
        }
    }
}

/// What a domain is started with, as in its xl configuration. A test names what it is about and
/// takes the rest from [`Config::default`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Pages of memory for the guest to allocate.
    pub pages: u32,
    /// `maxmem`: pages that Xen lets it have, and that it has places for.
    pub max_pages: u32,
    /// `max_grant_frames`: frames of 512 entries.
    pub max_grant_frames: u32,
    /// `max_maptrack_frames`: frames of 256 mappings; Xen keeps one mapping back.
    pub max_maptrack_frames: u32,
    /// Event channels that the domain may have.
    pub max_ports: u32,
    /// The version of its grant table; services come up on version 1 alone.
    pub grant_version: u32,
    /// Its console. In dom0's place there is no xenstore, either.
    pub console: ConsoleKind,
    /// What kind of guest it is.
    pub mode: Mode,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Miri is slow enough with a guest of this size.
            pages: if cfg!(miri) { 128 } else { 1024 },
            max_pages: if cfg!(miri) { 128 } else { 1024 },
            max_grant_frames: if cfg!(miri) { 1 } else { 4 },
            max_maptrack_frames: 8,
            max_ports: 1023,
            grant_version: 1,
            console: ConsoleKind::Ring,
            mode: Mode::of_environment(),
        }
    }
}

/// The pages that Xen shares with a domain, and what the domain sees without asking Xen.
#[derive(Debug)]
pub(super) struct DomainPages {
    pub(super) counters: Counters,
    pub(super) shared_info: SharedInfo,
    pub(super) console: XenconsInterface,
    pub(super) console_kind: ConsoleKind,
    pub(super) mode: Mode,
    pub(super) xenstore: XenstoreDomainInterface,
    pub(super) grant_frames_mapped: AtomicU32,
    grant_entries: Vec<GrantEntryV1>,
    pub(super) entry_looks: AtomicU64,
    pub(super) batched: AtomicU64,
    pub(super) booted: AtomicBool,
    pub(super) interrupts: Interrupt,
}

impl DomainPages {
    pub(super) fn new(config: &Config) -> Self {
        let entries = config.max_grant_frames * GrantEntryV1::PER_FRAME;
        Self {
            counters: Counters::new(),
            shared_info: SharedInfo::new(),
            console: XenconsInterface::new(),
            console_kind: config.console,
            mode: config.mode,
            xenstore: XenstoreDomainInterface::new(),
            grant_frames_mapped: AtomicU32::new(0),
            grant_entries: (0..entries).map(|_| GrantEntryV1::new()).collect(),
            entry_looks: AtomicU64::new(0),
            batched: AtomicU64::new(0),
            booted: AtomicBool::new(false),
            interrupts: Interrupt::default(),
        }
    }

    /// The entries that the guest has mapped.
    pub(super) fn grant_entries(&self) -> &[GrantEntryV1] {
        let mapped = self.grant_frames_mapped.load(Ordering::SeqCst) * GrantEntryV1::PER_FRAME;
        &self.grant_entries[..mapped as usize]
    }

    /// Any entry, as Xen sees it.
    pub(super) fn entry(&self, gref: u32) -> &GrantEntryV1 {
        &self.grant_entries[gref as usize]
    }
}

/// What Xen knows of a domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) domid: u16,
    pub(super) config: Config,
    pub(super) alive: bool,
    pub(super) pages: Arc<DomainPages>,
    pub(super) faults: Faults,
    /// The grant table's size in frames.
    pub(super) grant_frames: u32,
    /// Entries in use by a mapper.
    pub(super) active: BTreeMap<u32, Active>,
    /// By handle.
    pub(super) maptrack: Vec<Option<Maptrack>>,
    /// By port.
    pub(super) channels: Vec<Channel>,
    /// Its memory, by GFN; and the free ones.
    pub(super) frames: BTreeMap<u64, Arc<MachineFrame>>,
    /// By GFN the PFN: where each frame is, for those that are in a place.
    pub(super) pfns: BTreeMap<u64, u64>,
    /// The first PFN that it never had.
    pub(super) next_pfn: u64,
    /// The first machine frame that it never had.
    pub(super) next_mfn: u64,
    /// How often it still can't unmap, and then map, a page.
    pub(super) detach_refused: Option<u32>,
    pub(super) attach_refused: Option<u32>,
    pub(super) free: Vec<u64>,
    /// The free ones that the guest said hold only zeroes.
    pub(super) clean: BTreeSet<u64>,
    pub(super) pages_until_failure: Option<u32>,
    /// The frame of the grant table that can't be mapped, and why.
    pub(super) grant_frame_refused: Option<(u32, Errno)>,
    /// Frames that are on their way back from swap: how often they still answer eagain.
    pub(super) paged_out: BTreeMap<u64, u32>,
    /// What is mapped, by page address: its page tables, and for grants of a translated domain
    /// Xen's.
    pub(super) ptes: BTreeMap<usize, Pte>,
    /// Address space that was reserved, by first address.
    pub(super) slots: BTreeMap<usize, AddressRange>,
    /// How often it was restored.
    pub(super) restores: u32,
    pub(super) typed: VecDeque<u8>,
    pub(super) printed: Vec<u8>,
    /// Whether the console daemon is there to empty the ring.
    pub(super) daemon: bool,
}

impl Domain {
    pub(super) fn new(domid: u16, config: Config, pages: Arc<DomainPages>) -> Self {
        let first = first_gfn(config.mode, domid);
        let frames: BTreeMap<_, _> =
            (first..first + u64::from(config.pages)).map(|mfn| (mfn, Arc::default())).collect();
        let mut domain = Self {
            domid,
            config,
            alive: true,
            pages,
            faults: Faults::default(),
            grant_frames: 0,
            active: BTreeMap::new(),
            maptrack: Vec::new(),
            channels: Vec::new(),
            free: frames.keys().rev().copied().collect(),
            pfns: frames.keys().map(|gfn| (*gfn, gfn - first)).collect(),
            next_pfn: config.pages.into(),
            next_mfn: first + u64::from(config.pages),
            detach_refused: None,
            attach_refused: None,
            clean: BTreeSet::new(),
            frames,
            pages_until_failure: None,
            grant_frame_refused: None,
            paged_out: BTreeMap::new(),
            ptes: BTreeMap::new(),
            slots: BTreeMap::new(),
            restores: 0,
            typed: VecDeque::new(),
            printed: Vec::new(),
            daemon: true,
        };
        domain.start_console();
        domain
    }

    /// Whether a guest-physical frame is one that its memory has, had, or may have.
    pub(super) fn is_ram(&self, gfn: u64) -> bool {
        gfn < first_gfn(Mode::Pvh, self.domid) + self.next_pfn
    }

    /// See [`super::FakeXen::assert_clean`].
    pub(super) fn assert_clean(&self) {
        let domid = self.domid;
        assert!(self.active.is_empty(), "domain {domid}'s grants are mapped: {:?}", self.active);
        let handles = self.maptrack.iter().flatten().count();
        assert_eq!(handles, 0, "domain {domid} still maps foreign pages");
        let entries = self.grant_frames * GrantEntryV1::PER_FRAME;
        let granted =
            (GNTTAB_NR_RESERVED_ENTRIES..entries).filter(|gref| self.is_granted(*gref)).count();
        assert_eq!(granted, 0, "domain {domid} still grants pages");
        assert_eq!(self.free.len(), self.frames.len(), "domain {domid} has lost pages");
        // The one that gntdev takes its reservations' addresses from stays.
        assert!(self.slots.len() <= 1, "domain {domid} still holds address space");
    }
}
