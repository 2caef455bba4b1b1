//! Batches of map operations: mapped all or none, and unmapped by their handles.
//!
//! An operation is kept for as long as its page may be mapped. Xen's status and handle are read in
//! place, and a handle never parts from its address: Xen doesn't check that they belong together,
//! and the wrong pair would tear down somebody else's mapping. An operation that maps something
//! has a handle, and no other has: that is how [`mapped`] knows.

use xen_sys::grant_table::{Gntmap, GnttabMapGrantRef, GnttabUnmapGrantRef, GrantStatus};

use super::eagain;
use crate::error::check_status;
use crate::memory::{HostAddr, Platform};
use crate::{Access, Call, ClaimedGrant, Error, GrantRef};

/// No handle of Xen's, which are small numbers.
const NO_HANDLE: u32 = u32::MAX;

/// An operation for a page that is to hold nothing yet.
pub(super) fn empty() -> GnttabMapGrantRef {
    GnttabMapGrantRef { handle: NO_HANDLE, ..Default::default() }
}

/// An operation that is to map `grant` at `host`.
pub(super) fn operation(grant: ClaimedGrant, host: HostAddr) -> GnttabMapGrantRef {
    GnttabMapGrantRef {
        host_addr: host.addr,
        flags: Gntmap::HOST_MAP | host.flags,
        dom: grant.domid.0,
        ref_: grant.gref.0,
        status: GrantStatus::OKAY,
        ..empty()
    }
}

/// What an operation is to map.
pub(super) fn grant(op: &GnttabMapGrantRef) -> ClaimedGrant {
    ClaimedGrant::new(op.dom, op.ref_)
}

/// How an operation has its page mapped now.
pub(super) fn mapped(op: &GnttabMapGrantRef) -> Option<Access> {
    let readonly = op.flags.contains(Gntmap::READONLY);
    (op.handle != NO_HANDLE).then_some(if readonly { Access::ReadOnly } else { Access::ReadWrite })
}

/// Maps all operations with one hypercall, or none.
///
/// # Errors
/// What Xen said to the first page it refused; every status stays readable. A page that did map and
/// can't be unmapped again stays [`mapped`].
///
/// # Safety
/// Nothing is mapped by any of the operations, their `host_addr` and flags are what `host_addr`
/// gave for prepared pages of a slot that the caller holds, and nothing is mapped there. `scratch`
/// is as long as `ops`.
pub(super) unsafe fn map<X: Platform>(
    xen: &X,
    ops: &mut [GnttabMapGrantRef],
    scratch: &mut [GnttabUnmapGrantRef],
    access: Access,
) -> Result<(), Error> {
    for op in &mut *ops {
        op.flags.set(Gntmap::READONLY, access == Access::ReadOnly);
    }
    let call = |ops: &mut [GnttabMapGrantRef]| {
        // Poisoned: a continuation once left entries untouched (XSA-318).
        ops.iter_mut().for_each(|op| {
            (op.status, op.handle) = (GrantStatus::GENERAL_ERROR, NO_HANDLE);
        });
        // SAFETY: the caller's promise; Xen maps nothing where it says eagain.
        unsafe { xen.gnttab_map(ops) }
    };
    let called = call(ops).and_then(|()| {
        let hopeless =
            |op: &GnttabMapGrantRef| !matches!(op.status, GrantStatus::OKAY | GrantStatus::EAGAIN);
        if ops.iter().any(hopeless) {
            return Ok(());
        }
        eagain::retry(xen, ops, |op| op.status, call)
    });
    let mut verdict = called.map_err(|errno| Error::Hypercall(Call::GnttabMap, errno));
    for op in &mut *ops {
        if op.status == GrantStatus::OKAY && op.handle == NO_HANDLE {
            // What can't be named can't be unmapped: a success that is none.
            op.status = GrantStatus::GENERAL_ERROR;
        }
        if let Err(refusal) = check_status(op.status, GrantRef(op.ref_)) {
            // Whatever Xen wrote there, it's no mapping's.
            op.handle = NO_HANDLE;
            verdict = verdict.and(Err(refusal));
        }
    }
    if verdict.is_err() {
        let _ = unmap(xen, ops, scratch);
    }
    verdict
}

/// Unmaps what the operations have mapped, with one hypercall.
///
/// # Errors
/// What Xen said to the first page it didn't unmap. Such pages stay [`mapped`], and asking again
/// asks for them alone. ENOMEM, with nothing unmapped, if `scratch` is shorter than that.
pub(super) fn unmap<X: Platform>(
    xen: &X,
    ops: &mut [GnttabMapGrantRef],
    scratch: &mut [GnttabUnmapGrantRef],
) -> Result<(), Error> {
    let live = ops.iter().filter(|op| op.handle != NO_HANDLE);
    let count = live.clone().count();
    if count == 0 {
        return Ok(());
    }
    let entries = scratch.get_mut(..count).ok_or(Error::NO_MEMORY)?;
    for (entry, op) in entries.iter_mut().zip(live) {
        *entry = GnttabUnmapGrantRef {
            host_addr: op.host_addr,
            handle: op.handle,
            status: GrantStatus::GENERAL_ERROR,
            ..Default::default()
        };
    }
    // SAFETY: each entry has handle and address of one live mapping, from the operation that made
    // it; who reads and writes there holds that operation, and asks `mapped` first.
    let called = unsafe { xen.gnttab_unmap(entries) };
    let mut verdict = called.map_err(|errno| Error::Hypercall(Call::GnttabUnmap, errno));
    let live = ops.iter_mut().filter(|op| op.handle != NO_HANDLE);
    for (op, entry) in live.zip(&*entries) {
        match check_status(entry.status, GrantRef(op.ref_)) {
            Ok(()) => op.handle = NO_HANDLE,
            Err(refusal) => verdict = verdict.and(Err(refusal)),
        }
    }
    verdict
}
