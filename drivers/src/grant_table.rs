// SPDX-License-Identifier: MIT OR Apache-2.0
//! This domain's grant table: version 1, grown on demand; grants end only by compare-and-swap.
//!
//! Granting writes an entry and costs no hypercall. Xen marks an entry while the peer maps it
//! (`GTF_reading`, `GTF_writing`). By design, Xen has no way to revoke a grant in use, so
//! [`GrantTable::end`] either succeeds or reports that the peer still maps the page.
//!
//! This refuses version 2: that table, its status frames and the switch between versions are what
//! Xen's own advisories are about (XSA-255, 268, 382, 384). A version 1 entry names a 32-bit frame,
//! which covers 16 TiB of machine memory; a page above that is refused.
//!
//! Only this module writes grant entries. It keeps a granted page in a [`Granted`] until its entry is
//! invalid again, so no entry names a bare [`Page`].
#![expect(unsafe_code, reason = "reaches the grant entries")]

#[cfg(test)]
mod orders;
mod references;
mod runs;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::iter;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use crate::lock::Mutex;
use xen_sys::grant_table::{
    GNTTAB_NR_RESERVED_ENTRIES, GnttabGetVersion, GnttabQuerySize, GnttabSetupTable, GrantEntryV1,
    GrantStatus, Gtf,
};
use xen_sys::xen::DOMID_SELF;

use self::references::{Life, References};
use crate::error::check_status;
use crate::events::Port;
use crate::memory::{PAGE_SIZE, Page, Platform};
use crate::raw::{NoticeId, Notices, lengthen};
use crate::words::{Watched, Word};
use crate::{Access, Call, ClaimedDomId, DomId, Errno, Error, GrantRef, PeerState};

/// How often an exchange is tried when Xen keeps changing the entry.
const END_ATTEMPTS: usize = 8;

/// This domain's grant table.
#[derive(Debug)]
pub(crate) struct GrantTable<X: Platform> {
    xen: X,
    notices: Arc<Notices<X>>,
    state: Mutex<TableState>,
}

/// A page that an entry names. Dropping it leaks the page, and the entry stays.
#[derive(Debug)]
#[must_use = "a grant that is dropped is lost; end it"]
pub(crate) struct Granted {
    page: Page,
    gref: GrantRef,
    /// What to do when its owner releases it. Removed before the page is freed.
    notice: Option<NoticeId>,
}

/// A granted page, as listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantInfo {
    /// Its reference.
    pub gref: GrantRef,
    /// The domain it is granted to.
    pub peer: ClaimedDomId,
    /// What the peer may do.
    pub access: Access,
    /// What the peer does.
    pub state: PeerState,
    /// Whether only the peer still holds it.
    pub parked: bool,
    /// When it was granted, in nanoseconds of Xen's system time.
    pub since: u64,
}

impl Granted {
    /// Returns the page, to read and write.
    pub(crate) fn page(&self) -> &Page {
        &self.page
    }

    /// Returns its reference.
    pub(crate) fn gref(&self) -> GrantRef {
        self.gref
    }
}

#[derive(Debug)]
struct TableState {
    /// The number of frames that are set up and mapped, and the most that Xen allows.
    frames: u32,
    max_frames: u32,
    references: References,
}

impl<X: Platform> GrantTable<X> {
    /// Asks Xen for the table's size, sets it up, and keeps references 0 to 7 for Xen's own use.
    ///
    /// # Errors
    /// ENODEV for a table of version 2 or if Xen lacks an operation; ENOMEM.
    pub(crate) fn bring_up(xen: &X, notices: Arc<Notices<X>>) -> Result<Self, Error> {
        let mut version = GnttabGetVersion { dom: DOMID_SELF, ..Default::default() };
        xen.gnttab_get_version(&mut version)
            .map_err(|errno| Error::Hypercall(Call::GnttabGetVersion, errno))?;
        if version.version != 1 {
            return Err(Error::Local(Errno::ENODEV, &"the grant table is not version 1"));
        }
        let mut size = GnttabQuerySize { dom: DOMID_SELF, ..Default::default() };
        size.status = GrantStatus::GENERAL_ERROR;
        xen.gnttab_query_size(&mut size)
            .map_err(|errno| Error::Hypercall(Call::GnttabQuerySize, errno))?;
        check_status(size.status, GrantRef(0))?;
        let table = Self {
            xen: xen.clone(),
            notices,
            state: Mutex::new(TableState {
                frames: 0,
                max_frames: size.max_nr_frames,
                references: References::new(),
            }),
        };
        table.grow(&mut table.state.lock(), size.nr_frames.max(1))?;
        Ok(table)
    }

    /// Makes sure that `n` more references can be granted, `limit` in all, growing the table if
    /// necessary.
    ///
    /// # Errors
    /// ENOSPC beyond the limit, then if Xen doesn't allow a table that large; ENOMEM.
    pub(crate) fn make_room(&self, n: u32, limit: u32) -> Result<(), Error> {
        let state = &mut self.state.lock();
        if u64::from(state.references.in_use()) + u64::from(n) > u64::from(limit) {
            return Err(BEYOND_LIMIT);
        }
        let frames = state.references.needed(n).div_ceil(u64::from(GrantEntryV1::PER_FRAME));
        if frames > u64::from(state.max_frames) {
            return Err(FULL);
        }
        if frames > u64::from(state.frames) { self.grow(state, frames as u32) } else { Ok(()) }
    }

    /// Ends a grant.
    ///
    /// # Errors
    /// The unchanged grant, if the peer maps it.
    pub(crate) fn end(&self, granted: Granted) -> Result<Page, Granted> {
        if self.suspend(&granted) { self.release(granted) } else { Err(granted) }
    }

    /// Makes a grant invalid but keeps its reference, so that [`GrantTable::resume`] can undo it.
    /// Returns whether it is now invalid; if not, the peer maps it.
    ///
    /// Only the result of the exchange decides: if we looked first and ended then, the peer could
    /// map in between (XSA-396).
    pub(crate) fn suspend(&self, granted: &Granted) -> bool {
        end_access(&self.entry(granted.gref).flags)
    }

    /// Makes a suspended grant valid again.
    pub(crate) fn resume(&self, granted: &Granted, access: Access) {
        self.entry(granted.gref).flags.store(permit(access).bits(), Ordering::Release);
    }

    /// Returns the page of a suspended grant, and frees its reference.
    ///
    /// # Errors
    /// The grant, if it is not suspended.
    fn release(&self, mut granted: Granted) -> Result<Page, Granted> {
        let entry = self.entry(granted.gref);
        if entry.flags.load(Ordering::Relaxed) != 0 {
            return Err(granted);
        }
        self.forget_notice(&mut granted);
        self.state.lock().references.give(iter::once(granted.gref));
        Ok(granted.page)
    }

    /// Records that only the peer still holds it.
    pub(crate) fn mark_parked(&self, granted: &Granted) {
        self.state.lock().references.park(granted.gref.0);
    }

    /// Sets what [`GrantTable::fire`] does: clear the byte at an offset in the page, and send the
    /// event. Replaces an earlier notice.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn set_notice(
        &self,
        granted: &mut Granted,
        byte: Option<usize>,
        event: Option<Port<X>>,
    ) -> Result<(), Error> {
        let wanted = byte.is_some() || event.is_some();
        let new = if wanted { Some(self.notices.add(event)?) } else { None };
        if let (Some(id), Some(byte)) = (&new, byte) {
            // SAFETY: the byte is in a page of ours, to which the offset is reduced, and it is given
            // back only after its notice is gone: `release` removes it, the ends of a run fire it.
            unsafe { self.notices.arm(id, granted.page.addr() + byte % PAGE_SIZE) };
        }
        self.forget_notice(granted);
        granted.notice = new;
        Ok(())
    }

    /// Removes the notice.
    pub(crate) fn forget_notice(&self, granted: &mut Granted) {
        if let Some(id) = granted.notice.take() {
            self.notices.remove(id);
        }
    }

    /// Fires the notice, once.
    pub(crate) fn fire(&self, granted: &mut Granted) {
        if let Some(id) = granted.notice.take() {
            self.notices.fire(id);
        }
    }

    /// Calls `see` for every granted page, in order of references.
    pub(crate) fn for_each(&self, mut see: impl FnMut(GrantInfo)) {
        for gref in GNTTAB_NR_RESERVED_ENTRIES.. {
            // Not under the lock, since `see` may call us.
            let life = self.state.lock().references.get(gref);
            let (since, parked) = match life {
                None => return,
                Some(Life::Free(_)) => continue,
                Some(Life::Granted(since)) => (since, false),
                Some(Life::Parked(since)) => (since, true),
            };
            let entry = self.entry(GrantRef(gref));
            let flags = entry.flags.load(Ordering::Acquire);
            let readonly = Gtf::from_bits_retain(flags).contains(Gtf::READONLY);
            see(GrantInfo {
                gref: GrantRef(gref),
                peer: ClaimedDomId(entry.domid.load(Ordering::Relaxed)),
                access: if readonly { Access::ReadOnly } else { Access::ReadWrite },
                state: peer_state(flags),
                parked,
                since,
            });
        }
    }

    /// Returns what the peer does with a grant at this moment.
    pub(crate) fn peer_state(&self, granted: &Granted) -> PeerState {
        peer_state(self.entry(granted.gref).flags.load(Ordering::Acquire))
    }

    /// Returns how many entries are granted now, without Xen's own.
    pub(crate) fn in_use(&self) -> u32 {
        self.state.lock().references.in_use()
    }

    /// Grows the table to `frames` frames: one hypercall, plus what mapping them takes.
    fn grow(&self, state: &mut TableState, frames: u32) -> Result<(), Error> {
        let mut list = Vec::new();
        lengthen(&mut list, frames as usize, 0)?;
        let entries = frames.checked_mul(GrantEntryV1::PER_FRAME).ok_or(FULL)?;
        state.references.reserve(entries)?;
        let mut op = GnttabSetupTable { dom: DOMID_SELF, nr_frames: frames, ..Default::default() };
        op.status = GrantStatus::GENERAL_ERROR;
        self.xen
            .gnttab_setup_table(&mut op, &mut list)
            .map_err(|errno| Error::Hypercall(Call::GnttabSetupTable, errno))?;
        // Xen answers general_error for more frames than it allows or has memory for.
        check_status(op.status, GrantRef(0)).map_err(|_| FULL)?;
        let new = list.get(state.frames as usize..).unwrap_or_default();
        // SAFETY: these are the frames that Xen has just returned, after those that are mapped.
        unsafe { self.xen.map_grant_frames(state.frames, new) }
            .map_err(|errno| Error::Local(errno, &"no memory to map the grant table"))?;
        state.frames = frames;
        state.references.grow(entries);
        Ok(())
    }

    /// Returns the table's entries.
    fn entries(&self) -> &[GrantEntryV1] {
        // SAFETY: only this module writes entries, and only those of pages that a `Granted` holds.
        unsafe { self.xen.grant_entries() }
    }

    fn entry(&self, gref: GrantRef) -> WatchedEntry<'_, X> {
        self.entry_in(self.entries(), gref)
    }

    fn entry_in<'a>(&'a self, entries: &'a [GrantEntryV1], gref: GrantRef) -> WatchedEntry<'a, X> {
        // Every reference is below what `grow` has mapped.
        let entry = &entries[gref.0 as usize];
        Entry {
            flags: Watched::new(&self.xen, &entry.flags),
            domid: Watched::new(&self.xen, &entry.domid),
            frame: Watched::new(&self.xen, &entry.frame),
        }
    }
}

const BEYOND_LIMIT: Error = Error::Local(Errno::ENOSPC, &"more pages than gntalloc.limit allows");
const FULL: Error = Error::Local(Errno::ENOSPC, &"the grant table is full; raise max_grant_frames");

/// A grant entry, by its words.
struct Entry<Half, Whole> {
    flags: Half,
    domid: Half,
    frame: Whole,
}

type WatchedEntry<'a, X> = Entry<Watched<'a, X, AtomicU16>, Watched<'a, X, AtomicU32>>;

/// Introduces an entry, as grant_table.h says under "Introducing a valid entry": Xen may use the
/// entry as soon as it has a type, so the type is written last, after a write barrier.
fn introduce<Half: Word<Value = u16>, Whole: Word<Value = u32>>(
    entry: &Entry<Half, Whole>,
    frame: u32,
    peer: DomId,
    access: Access,
) {
    entry.frame.store(frame, Ordering::Relaxed);
    entry.domid.store(peer.get(), Ordering::Relaxed);
    entry.flags.store(permit(access).bits(), Ordering::Release);
}

/// Ends an entry by the compare-and-swap of grant_table.h, "Invalidating an unused
/// GTF_permit_access entry". Returns whether it succeeded.
fn end_access(word: &impl Word<Value = u16>) -> bool {
    let (mut flags, mut tries) = (word.load(Ordering::Relaxed), 0);
    // Each failed exchange means that Xen has just marked or unmarked the entry. A few tries are
    // enough even if the peer maps and unmaps without pause.
    while peer_state(flags) == PeerState::Idle {
        // AcqRel: the peer's writes are visible before the page is reused, and nothing of the entry
        // is reused before it is invalid.
        match word.compare_exchange(flags, 0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => flags = now,
        }
        tries += 1;
        if tries == END_ATTEMPTS {
            break;
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
