//! Our grant table: version 1, grown on demand, ended by compare-and-swap and nothing else.
//!
//! Granting writes an entry and costs no hypercall. Xen marks an entry while the peer maps it
//! (`GTF_reading`, `GTF_writing`); a grant in use can't be revoked, by design of Xen, so
//! [`GrantTable::try_end`] either succeeds or says that the peer still maps the page.
//!
//! Version 1 only: the version 2 table, its status frames and the switch between versions are
//! where Xen's own advisories are (XSA-255, 268, 382, 384). A version 1 entry names a 32-bit
//! frame, 16 TiB of machine memory; a page above is refused.
//!
//! Only this file writes grant entries.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use spin::Mutex;
use xen_sys::grant_table::{
    GNTTAB_NR_RESERVED_ENTRIES, GnttabGetVersion, GnttabQuerySize, GnttabSetupTable, GrantEntryV1,
    GrantStatus, Gtf,
};
use xen_sys::xen::DOMID_SELF;

use crate::ids::check_status;
use crate::memory::{PAGE_SIZE, Platform};
use crate::{Access, DomId, Errno, Error, GrantRef, PeerState};

/// Entries in one frame of the table.
pub(crate) const PER_FRAME: u32 = (PAGE_SIZE / size_of::<GrantEntryV1>()) as u32;

/// How often an exchange that met a change by Xen is tried again.
const END_ATTEMPTS: usize = 8;

/// The grant table of this domain.
#[derive(Debug)]
pub struct GrantTable<X> {
    xen: X,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Frames that are set up and mapped, and how many Xen allows.
    frames: u32,
    max_frames: u32,
    /// The lowest reference never used so far.
    fresh: u32,
    /// The free references below `fresh`: a list through the `frame` field of their entries,
    /// which Xen does not look at while the type is `GTF_invalid`. 0 ends it.
    free_head: u32,
    /// Entries granted now.
    in_use: u32,
}

impl<X: Platform> GrantTable<X> {
    /// Asks for the size, sets the table up and keeps the references 0..7 for Xen's own use.
    ///
    /// # Errors
    /// ENODEV with a table of version 2, or when Xen lacks an operation; ENOMEM.
    pub fn bring_up(xen: &X) -> Result<Self, Error> {
        let mut version = GnttabGetVersion { dom: DOMID_SELF, ..Default::default() };
        xen.gnttab_get_version(&mut version)
            .map_err(|errno| Error::Hypercall("GNTTABOP_get_version", errno))?;
        if version.version != 1 {
            return Err(Error::Invalid(Errno::ENODEV, "the grant table is not of version 1"));
        }
        let mut size = GnttabQuerySize { dom: DOMID_SELF, ..Default::default() };
        size.status = GrantStatus::GENERAL_ERROR;
        xen.gnttab_query_size(&mut size)
            .map_err(|errno| Error::Hypercall("GNTTABOP_query_size", errno))?;
        check_status(size.status, GrantRef(0))?;
        let table = Self {
            xen: xen.clone(),
            state: Mutex::new(State {
                frames: 0,
                max_frames: size.max_nr_frames,
                fresh: GNTTAB_NR_RESERVED_ENTRIES,
                free_head: 0,
                in_use: 0,
            }),
        };
        table.grow(&mut table.state.lock(), size.nr_frames.max(1))?;
        Ok(table)
    }

    /// Makes sure that `n` more references can be granted, growing the table if it must.
    ///
    /// # Errors
    /// ENOSPC when Xen allows no table that large; ENOMEM.
    pub(crate) fn make_room(&self, n: u32) -> Result<(), Error> {
        let state = &mut self.state.lock();
        // All reserved entries count as used.
        let used = u64::from(GNTTAB_NR_RESERVED_ENTRIES) + u64::from(state.in_use);
        let frames = (used + u64::from(n)).div_ceil(u64::from(PER_FRAME));
        if frames > u64::from(state.max_frames) {
            return Err(FULL);
        }
        if frames > u64::from(state.frames) { self.grow(state, frames as u32) } else { Ok(()) }
    }

    /// Grants machine frame `mfn` to `peer`. No hypercall, unless the table has to grow.
    ///
    /// # Errors
    /// ENOSPC when the table is full and can't grow; EOVERFLOW for a frame beyond 32 bits.
    pub(crate) fn grant(&self, peer: DomId, mfn: u64, access: Access) -> Result<GrantRef, Error> {
        let frame = u32::try_from(mfn).map_err(|_| ABOVE_16_TIB)?;
        self.make_room(1)?;
        let state = &mut self.state.lock();
        let gref = match state.free_head {
            0 => {
                state.fresh += 1;
                state.fresh - 1
            }
            head => {
                state.free_head = self.entry(GrantRef(head)).frame.load(Ordering::Relaxed);
                head
            }
        };
        state.in_use += 1;
        let entry = self.entry(GrantRef(gref));
        entry.frame.store(frame, Ordering::Relaxed);
        entry.domid.store(peer.get(), Ordering::Relaxed);
        // grant_table.h, "Introducing a valid entry": Xen may use the entry as soon as it has a
        // type, so the type goes last, behind a write barrier.
        entry.flags.store(permit(access).bits(), Ordering::Release);
        Ok(GrantRef(gref))
    }

    /// Ends a grant that [`GrantTable::grant`] gave. Whether it ended; if not, the peer maps it.
    pub(crate) fn try_end(&self, gref: GrantRef) -> bool {
        let ended = self.try_suspend(gref);
        if ended {
            self.release(gref);
        }
        ended
    }

    /// Makes a grant invalid but keeps its reference, so that [`GrantTable::resume`] can undo it.
    /// Whether it is invalid now; if not, the peer maps it.
    ///
    /// Only the result of the exchange decides: looking first and ending then would leave the
    /// peer a moment to map in between (XSA-396).
    pub(crate) fn try_suspend(&self, gref: GrantRef) -> bool {
        end_access(self.entry(gref))
    }

    /// Makes a suspended grant what it was.
    pub(crate) fn resume(&self, gref: GrantRef, access: Access) {
        self.entry(gref).flags.store(permit(access).bits(), Ordering::Release);
    }

    /// Lets a suspended grant's reference be used for another grant.
    pub(crate) fn release(&self, gref: GrantRef) {
        let state = &mut self.state.lock();
        self.entry(gref).frame.store(state.free_head, Ordering::Relaxed);
        state.free_head = gref.0;
        state.in_use -= 1;
    }

    /// What the peer does with a grant at this moment.
    pub(crate) fn peer_state(&self, gref: GrantRef) -> PeerState {
        peer_state(self.entry(gref).flags.load(Ordering::Acquire))
    }

    /// Entries granted now, besides Xen's own.
    pub fn in_use(&self) -> u32 {
        self.state.lock().in_use
    }

    /// Grows the table to `frames` frames: one hypercall, and what mapping them takes.
    fn grow(&self, state: &mut State, frames: u32) -> Result<(), Error> {
        let mut list = Vec::new();
        list.try_reserve_exact(frames as usize).map_err(|_| Error::NO_MEMORY)?;
        list.resize(frames as usize, 0);
        let mut op = GnttabSetupTable { dom: DOMID_SELF, nr_frames: frames, ..Default::default() };
        op.status = GrantStatus::GENERAL_ERROR;
        self.xen
            .gnttab_setup_table(&mut op, &mut list)
            .map_err(|errno| Error::Hypercall("GNTTABOP_setup_table", errno))?;
        // Xen answers general_error for more frames than it allows or can find memory for.
        check_status(op.status, GrantRef(0)).map_err(|_| FULL)?;
        self.xen
            .map_grant_frames(state.frames, &list[state.frames as usize..])
            .map_err(|errno| Error::Invalid(errno, "no memory to map the grant table"))?;
        state.frames = frames;
        Ok(())
    }

    fn entry(&self, gref: GrantRef) -> &GrantEntryV1 {
        &self.xen.grant_entries()[gref.0 as usize]
    }
}

const FULL: Error =
    Error::Invalid(Errno::ENOSPC, "the grant table is full; raise max_grant_frames");
const ABOVE_16_TIB: Error =
    Error::Invalid(Errno::EOVERFLOW, "the page lies above 16 TiB of machine memory");

/// The compare-and-swap of grant_table.h, "Invalidating an unused GTF_permit_access entry".
fn end_access(entry: &GrantEntryV1) -> bool {
    let mut flags = entry.flags.load(Ordering::Relaxed);
    // Each failed exchange means that Xen has just marked or unmarked the entry. A peer that
    // maps and unmaps without pause is told from an idle one by a few looks.
    for _ in 0..END_ATTEMPTS {
        if peer_state(flags) != PeerState::Idle {
            return false;
        }
        // AcqRel: what the peer wrote is visible before the page is used again, and nothing of
        // the entry is reused before it is invalid.
        match entry.flags.compare_exchange(flags, 0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => flags = now,
        }
    }
    false
}

fn permit(access: Access) -> Gtf {
    match access {
        Access::ReadWrite => Gtf::PERMIT_ACCESS,
        Access::ReadOnly => Gtf::PERMIT_ACCESS | Gtf::READONLY,
    }
}

fn peer_state(flags: u16) -> PeerState {
    let flags = Gtf::from_bits_retain(flags);
    if flags.contains(Gtf::WRITING) {
        PeerState::MappedRw
    } else if flags.contains(Gtf::READING) {
        PeerState::MappedRo
    } else {
        PeerState::Idle
    }
}
