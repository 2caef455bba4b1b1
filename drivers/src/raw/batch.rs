// SPDX-License-Identifier: MIT OR Apache-2.0
//! Batches of map operations: mapped all or none, and unmapped by their handles.
//!
//! An operation is kept for as long as its page may be mapped. Xen's status and handle are read in
//! place, and a handle stays with its address: Xen doesn't check that they belong together, and a
//! wrong pair would tear down another mapping. An operation has a handle exactly while it maps
//! something, which is what [`mapped`] checks.

use alloc::vec::Vec;
use core::iter;

use crate::lock::Mutex;
use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus};

use super::eagain;
use crate::error::check_status;
use crate::memory::{HostAddr, PageSlot, Platform};
use crate::{Access, Call, ClaimedGrant, DomId, Errno, Error, GrantRef};

/// Not a handle: Xen's are small numbers.
const NO_HANDLE: u32 = u32::MAX;

/// A bit that no handle of Xen's has: the OR of many handles shows whether one is missing.
const MISSING: u32 = 1 << 31;

/// Returns an operation for a page that maps nothing yet.
pub(super) fn empty() -> GnttabMapGrantRef {
    GnttabMapGrantRef { handle: NO_HANDLE, ..Default::default() }
}

/// Returns operations for the pages of a slot from `first` on, one for each grant, in runs with
/// evenly spaced addresses.
pub(super) fn operations<X: Platform>(
    xen: &X,
    slot: &PageSlot,
    first: u32,
    grants: &[ClaimedGrant],
) -> impl Iterator<Item = impl ExactSizeIterator<Item = GnttabMapGrantRef>> {
    let (mut page, mut rest) = (first, grants);
    iter::from_fn(move || {
        let _ = rest.first()?;
        let mut place = xen.host_addr(slot, page);
        let len = rest.len().min(place.pages.max(1) as usize);
        page += len as u32;
        Some(rest.split_off(..len)?.iter().map(move |grant| {
            let op = operation(&place, grant);
            place.addr = place.addr.wrapping_add(place.stride);
            op
        }))
    })
}

/// Returns the operation that maps a grant at a place.
pub(super) fn operation(place: &HostAddr, grant: &ClaimedGrant) -> GnttabMapGrantRef {
    GnttabMapGrantRef {
        host_addr: place.addr,
        flags: Gntmap::HOST_MAP | place.flags,
        dom: grant.domid.0,
        ref_: grant.gref.0,
        status: GrantStatus::OKAY,
        ..empty()
    }
}

/// Refreshes the addresses in operations for the pages of a slot from `first` on, where nothing is
/// mapped now.
pub(super) fn refill<X: Platform>(
    xen: &X,
    slot: &PageSlot,
    first: u32,
    ops: &mut [GnttabMapGrantRef],
) {
    for (page, op) in (first..).zip(ops) {
        let host = xen.host_addr(slot, page);
        (op.host_addr, op.flags) = (host.addr, Gntmap::HOST_MAP | host.flags);
    }
}

/// Returns the grant that an operation maps.
pub(super) fn grant(op: &GnttabMapGrantRef) -> ClaimedGrant {
    ClaimedGrant::new(op.dom, op.ref_)
}

/// Returns how an operation's page is mapped now.
pub(super) fn mapped(op: &GnttabMapGrantRef) -> Option<Access> {
    let readonly = op.flags.contains(Gntmap::READONLY);
    (op.handle != NO_HANDLE).then_some(if readonly { Access::ReadOnly } else { Access::ReadWrite })
}

/// Returns the domain whose pages can't be mapped: on PVH, the domain itself.
///
/// A PVH guest's frame has only one guest-physical address. When asked to map one of the guest's
/// own grants, Xen answers okay and removes the frame from its old address (`p2m_add_page`).
pub(crate) fn barred<X: Platform>(xen: &X, own: DomId) -> Option<DomId> {
    xen.is_translated().then_some(own)
}

/// Maps all operations or none, with one hypercall.
///
/// # Errors
/// EINVAL, before Xen is asked, for a page of the [`barred`] domain. Xen's status of the first page
/// it refused; every status stays readable. A page that was mapped and can't be unmapped again
/// stays [`mapped`].
///
/// # Safety
/// No operation maps anything, their `host_addr` and flags came from `host_addr` for prepared pages
/// of a slot that the caller holds, and nothing is mapped there. `room` is as [`unmap`] needs it.
pub(super) unsafe fn map<X: Platform>(
    xen: &X,
    ops: &mut [GnttabMapGrantRef],
    room: &Mutex<Vec<GnttabUnmapGrantRef>>,
    access: Access,
    barred: Option<DomId>,
) -> Result<(), Error> {
    if barred.is_some_and(|own| ops.iter().any(|op| op.dom == own.get())) {
        return Err(OWN_PAGE);
    }
    let call = |ops: &mut [GnttabMapGrantRef]| {
        poison(ops, access);
        // SAFETY: the caller's promise; Xen maps nothing if it answers eagain.
        unsafe { xen.gnttab_map(ops) }
    };
    let called = call(ops);
    if called.is_ok() && all_mapped(ops) {
        return Ok(());
    }
    let called = called.and_then(|()| {
        let hopeless =
            |op: &GnttabMapGrantRef| !matches!(op.status, GrantStatus::OKAY | GrantStatus::EAGAIN);
        if ops.iter().any(hopeless) {
            return Ok(());
        }
        eagain::retry(xen, ops, |op| op.status, call)
    });
    let verdict = judge(ops, called);
    if verdict.is_err() {
        let _ = unmap(xen, ops, room);
    }
    verdict
}

/// Sets the access, and poisons status and handle: a continuation once left entries untouched
/// (XSA-318).
fn poison(ops: &mut [GnttabMapGrantRef], access: Access) {
    // Setting up a loop costs more than a single page.
    if let [op] = ops {
        return poison_one(op, access);
    }
    for op in ops {
        poison_one(op, access);
    }
}

#[inline]
fn poison_one(op: &mut GnttabMapGrantRef, access: Access) {
    op.flags.set(Gntmap::READONLY, access == Access::ReadOnly);
    (op.status, op.handle) = (GrantStatus::GENERAL_ERROR, NO_HANDLE);
}

/// Whether every page was mapped and has a handle, checked without a branch per entry.
fn all_mapped(ops: &[GnttabMapGrantRef]) -> bool {
    if let [op] = ops {
        return op.status == GrantStatus::OKAY && op.handle != NO_HANDLE;
    }
    let (mut statuses, mut handles) = (0, 0);
    for op in ops {
        statuses |= op.status.0;
        handles |= op.handle;
    }
    statuses == GrantStatus::OKAY.0 && handles & MISSING == 0
}

/// Returns the first error of a map that failed somewhere, and clears the handles of failed
/// entries.
fn judge(ops: &mut [GnttabMapGrantRef], called: Result<(), Errno>) -> Result<(), Error> {
    let mut verdict = called.map_err(|errno| Error::Hypercall(Call::GnttabMap, errno));
    for op in ops {
        if op.status == GrantStatus::OKAY && op.handle == NO_HANDLE {
            // Without a handle it couldn't be unmapped, so this success counts as a failure.
            op.status = GrantStatus::GENERAL_ERROR;
        }
        if let Err(refusal) = check_status(op.status, GrantRef(op.ref_)) {
            // Whatever Xen wrote there, it is not a handle.
            op.handle = NO_HANDLE;
            verdict = verdict.and(Err(refusal));
        }
    }
    verdict
}

/// Unmaps what the operations have mapped, with one hypercall. `room` is room for an entry per
/// operation; a single one needs none.
///
/// # Errors
/// Xen's status of the first page it refused to unmap. Such pages stay [`mapped`], and another call
/// unmaps only them. ENOMEM, with nothing unmapped, if there is less room than that.
pub(super) fn unmap<X: Platform>(
    xen: &X,
    ops: &mut [GnttabMapGrantRef],
    room: &Mutex<Vec<GnttabUnmapGrantRef>>,
) -> Result<(), Error> {
    if let [op] = ops {
        if op.handle == NO_HANDLE {
            return Ok(());
        }
        let entries = &mut [entry_of(op)];
        return unmap_entries(xen, ops, entries);
    }
    let room = &mut *room.lock();
    if room.capacity() < ops.len() {
        return Err(Error::NO_MEMORY);
    }
    name_live(ops, room);
    if room.is_empty() {
        return Ok(());
    }
    unmap_entries(xen, ops, room)
}

/// Unmaps what `entries` name, which is what the operations have mapped.
fn unmap_entries<X: Platform>(
    xen: &X,
    ops: &mut [GnttabMapGrantRef],
    entries: &mut [GnttabUnmapGrantRef],
) -> Result<(), Error> {
    // SAFETY: each entry has the handle and address of one live mapping, from the operation that
    // made it; code that reads and writes there holds that operation, and checks `mapped` first.
    let called = unsafe { xen.gnttab_unmap(entries) };
    let unmapped = forget_unmapped(ops, entries);
    called.map_err(|errno| Error::Hypercall(Call::GnttabUnmap, errno)).and(unmapped)
}

/// Returns the entry that unmaps an operation's page, its status poisoned.
fn entry_of(op: &GnttabMapGrantRef) -> GnttabUnmapGrantRef {
    GnttabUnmapGrantRef {
        host_addr: op.host_addr,
        handle: op.handle,
        status: GrantStatus::GENERAL_ERROR,
        ..Default::default()
    }
}

/// Fills `entries`, which has room for all operations, with an entry for each mapped page.
fn name_live(ops: &[GnttabMapGrantRef], entries: &mut Vec<GnttabUnmapGrantRef>) {
    let mut handles = 0;
    entries.clear();
    entries.extend(ops.iter().map(|op| {
        handles |= op.handle;
        entry_of(op)
    }));
    if handles & MISSING != 0 {
        entries.clear();
        for op in ops.iter().filter(|op| op.handle != NO_HANDLE) {
            // There is room; the check proves it to the compiler.
            if entries.len() < entries.capacity() {
                entries.push(entry_of(op));
            }
        }
    }
}

/// Clears the handle of each page that was unmapped. `entries` has one entry for each page that was
/// mapped.
///
/// # Errors
/// Xen's status of the first page it refused to unmap.
fn forget_unmapped(
    ops: &mut [GnttabMapGrantRef],
    entries: &[GnttabUnmapGrantRef],
) -> Result<(), Error> {
    let all = ops.len() == entries.len();
    if all && entries.iter().fold(0, |wrong, entry| wrong | entry.status.0) == GrantStatus::OKAY.0 {
        ops.iter_mut().for_each(|op| op.handle = NO_HANDLE);
        return Ok(());
    }
    let mut verdict = Ok(());
    let live = ops.iter_mut().filter(|op| op.handle != NO_HANDLE);
    for (op, entry) in live.zip(entries) {
        match check_status(entry.status, GrantRef(op.ref_)) {
            Ok(()) => op.handle = NO_HANDLE,
            Err(refusal) => verdict = verdict.and(Err(refusal)),
        }
    }
    verdict
}

const OWN_PAGE: Error =
    Error::Local(Errno::EINVAL, &"a PVH guest can't map its own pages: Xen would take them away");

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an operation with Xen's answer.
    fn op(status: GrantStatus, handle: u32) -> GnttabMapGrantRef {
        GnttabMapGrantRef { status, handle, ..empty() }
    }

    const OKAY: GrantStatus = GrantStatus::OKAY;
    const REFUSED: GrantStatus = GrantStatus::BAD_GNTREF;

    #[test]
    fn a_page_is_mapped_if_xen_answers_okay_with_a_handle() {
        for at in 0..3 {
            let all = |status, handle| {
                let mut ops = [op(OKAY, 7); 3];
                ops[at] = op(status, handle);
                all_mapped(&ops)
            };
            assert!(all(OKAY, 8));
            assert!(!all(OKAY, NO_HANDLE));
            assert!(!all(REFUSED, 8));
            assert!(!all(REFUSED, NO_HANDLE));
        }
    }

    #[test]
    fn only_mapped_pages_get_an_unmap_entry() {
        let mut entries = Vec::new();
        let mut named = |handles: [u32; 3]| {
            name_live(&handles.map(|handle| op(OKAY, handle)), &mut entries);
            entries.iter().map(|entry| entry.handle).collect::<Vec<_>>()
        };
        assert_eq!(named([4, 5, 6]), [4, 5, 6]);
        assert_eq!(named([NO_HANDLE, 5, 6]), [5, 6]);
        assert_eq!(named([NO_HANDLE; 3]), []);
    }

    #[test]
    fn only_unmapped_pages_lose_their_handle() {
        let entry = |status| GnttabUnmapGrantRef { status, ..Default::default() };
        let mut ops = [4, NO_HANDLE, 6].map(|handle| op(OKAY, handle));
        assert!(forget_unmapped(&mut ops, &[entry(OKAY), entry(REFUSED)]).is_err());
        assert_eq!(ops.map(|op| op.handle), [NO_HANDLE, NO_HANDLE, 6]);
        assert_eq!(forget_unmapped(&mut ops, &[entry(OKAY)]), Ok(()));
        assert_eq!(ops.map(|op| op.handle), [NO_HANDLE; 3]);
    }
}
