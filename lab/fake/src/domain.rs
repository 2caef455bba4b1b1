// SPDX-License-Identifier: MIT OR Apache-2.0
//! One domain on FakeXen: its configuration, and Xen's state for it.

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

/// The port that the xenstore daemon notifies.
pub(super) const XENSTORE_PORT: u32 = 1;
/// The port that the console daemon notifies.
pub(super) const CONSOLE_PORT: u32 = 2;

/// Which console a domain has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleKind {
    /// A ring, as in every ordinary domain.
    #[default]
    Ring,
    /// Xen's own console: the guest runs in dom0's place.
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
    /// Returns the mode that the environment variable `FAKE_XEN` names: `pv` (the default) or
    /// `pvh`.
    ///
    /// # Panics
    /// If the variable has any other value.
    pub fn of_environment() -> Self {
        match std::env::var("FAKE_XEN").as_deref() {
            Ok("pv") | Err(_) => Self::Pv,
            Ok("pvh") => Self::Pvh,
            Ok(other) => panic!("FAKE_XEN={other}: pv and pvh are known"),
        }
    }
}

/// A domain's configuration, as in its xl file. A test sets the fields it is about and takes the
/// rest from [`Config::default`].
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Pages of memory for the guest to allocate.
    pub pages: u32,
    /// `maxmem`: the most pages that Xen lets it have, and that it has address space for.
    pub max_pages: u32,
    /// `max_grant_frames`: the most frames of its grant table, 512 entries each.
    pub max_grant_frames: u32,
    /// `max_maptrack_frames`: the most maptrack frames, 256 mappings each. Xen keeps one mapping
    /// for itself.
    pub max_maptrack_frames: u32,
    /// The most event channels that it may have.
    pub max_ports: u32,
    /// The version of its grant table. Services come up only on version 1.
    pub grant_version: u32,
    /// Its console. In dom0's place there is no xenstore either.
    pub console: ConsoleKind,
    /// What kind of guest it is.
    pub mode: Mode,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Miri is slow: keep the guest small.
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

/// The pages that Xen shares with a domain, and other state that is accessible without the world's
/// lock.
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

    /// Returns the entries in the grant frames that the guest has mapped.
    pub(super) fn grant_entries(&self) -> &[GrantEntryV1] {
        let mapped = self.grant_frames_mapped.load(Ordering::SeqCst) * GrantEntryV1::PER_FRAME;
        &self.grant_entries[..mapped as usize]
    }

    /// Returns any entry, as Xen sees it.
    pub(super) fn entry(&self, gref: u32) -> &GrantEntryV1 {
        &self.grant_entries[gref as usize]
    }
}

/// Xen's state for a domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) domid: u16,
    pub(super) config: Config,
    pub(super) alive: bool,
    pub(super) pages: Arc<DomainPages>,
    pub(super) faults: Faults,
    /// The grant table's size in frames.
    pub(super) grant_frames: u32,
    /// Entries that a mapper has pinned, by gref.
    pub(super) active: BTreeMap<u32, Active>,
    /// Its mappings, by handle.
    pub(super) maptrack: Vec<Option<Maptrack>>,
    /// Its event channels, by port.
    pub(super) channels: Vec<Channel>,
    /// Its memory, by GFN.
    pub(super) frames: BTreeMap<u64, Arc<MachineFrame>>,
    /// The PFN of each frame that has a place, by GFN.
    pub(super) pfns: BTreeMap<u64, u64>,
    /// The first PFN that it has never had.
    pub(super) next_pfn: u64,
    /// The first machine frame that it has never had.
    pub(super) next_mfn: u64,
    /// How many detaches succeed before one fails; likewise for attaches.
    pub(super) detach_refused: Option<u32>,
    pub(super) attach_refused: Option<u32>,
    pub(super) free: Vec<u64>,
    /// The free frames that the guest declared to be zeroed.
    pub(super) clean: BTreeSet<u64>,
    pub(super) pages_until_failure: Option<u32>,
    /// The grant-table frame whose mapping fails, and with which error.
    pub(super) grant_frame_refused: Option<(u32, Errno)>,
    /// How often each frame that is being paged in still answers eagain, by GFN.
    pub(super) paged_out: BTreeMap<u64, u32>,
    /// What is mapped, by page address: its own page tables, and for the grants that a translated
    /// domain maps, Xen's.
    pub(super) ptes: BTreeMap<usize, Pte>,
    /// Reserved address space, by first address.
    pub(super) slots: BTreeMap<usize, AddressRange>,
    /// How often the domain has been restored.
    pub(super) restores: u32,
    pub(super) typed: VecDeque<u8>,
    pub(super) printed: Vec<u8>,
    /// Whether the console daemon runs, to empty the ring.
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

    /// Whether a guest-physical frame lies in the range of its memory, past or present.
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
        // gntdev keeps the one that it takes its reservations' addresses from.
        assert!(self.slots.len() <= 1, "domain {domid} still holds address space");
    }
}
