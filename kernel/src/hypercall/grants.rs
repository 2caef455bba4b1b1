//! The grant table. The operations are those of xen/include/public/grant_table.h.
#![expect(unsafe_code, reason = "hypercalls")]

use drivers::{Call, Errno};
use xen_sys::grant_table::{
    GnttabCopy, GnttabGetVersion, GnttabMapGrantRef, GnttabOp, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef,
};
use xen_sys::xen::Hypercall;

use super::{address, call};

/// `grant_table_op` on a batch of `ops`.
///
/// # Safety
/// `T` is the structure of operation `op`. A batch that maps or unmaps names only addresses that
/// are the caller's to map over or to unmap.
unsafe fn grant_table_op<T>(kind: Call, op: GnttabOp, ops: &mut [T]) -> Result<(), Errno> {
    let args = [u64::from(op.0), address(ops), ops.len() as u64, 0];
    // SAFETY: Xen reads and writes `ops.len()` structures; the rest is the caller's promise.
    unsafe { call(kind, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
}

/// `GNTTABOP_query_size`.
///
/// # Errors
/// The hypercall's own.
pub fn gnttab_query_size(op: &mut GnttabQuerySize) -> Result<(), Errno> {
    let ops = core::slice::from_mut(op);
    // SAFETY: the structure of this operation; no addresses.
    unsafe { grant_table_op(Call::GnttabQuerySize, GnttabOp::QUERY_SIZE, ops) }
}

/// `GNTTABOP_get_version`.
///
/// # Errors
/// The hypercall's own.
pub fn gnttab_get_version(op: &mut GnttabGetVersion) -> Result<(), Errno> {
    let ops = core::slice::from_mut(op);
    // SAFETY: the structure of this operation; no addresses.
    unsafe { grant_table_op(Call::GnttabGetVersion, GnttabOp::GET_VERSION, ops) }
}

/// `GNTTABOP_setup_table`, the list of frames written to `frames`.
///
/// # Errors
/// EINVAL if `frames` is too short for `op.nr_frames`; else the hypercall's own.
pub fn gnttab_setup_table(op: &mut GnttabSetupTable, frames: &mut [u64]) -> Result<(), Errno> {
    if frames.len() < op.nr_frames as usize {
        return Err(Errno::EINVAL);
    }
    op.frame_list = address(frames);
    let ops = core::slice::from_mut(op);
    // SAFETY: the structure of this operation; Xen writes `nr_frames` numbers to `frames`.
    unsafe { grant_table_op(Call::GnttabSetupTable, GnttabOp::SETUP_TABLE, ops) }
}

/// `GNTTABOP_map_grant_ref`.
///
/// # Errors
/// The hypercall's own.
///
/// # Safety
/// The host addresses have L1 tables and nothing is mapped there.
pub unsafe fn gnttab_map(ops: &mut [GnttabMapGrantRef]) -> Result<(), Errno> {
    // SAFETY: the structure of this operation; the addresses are the caller's promise.
    unsafe { grant_table_op(Call::GnttabMap, GnttabOp::MAP_GRANT_REF, ops) }
}

/// `GNTTABOP_unmap_grant_ref`.
///
/// # Errors
/// The hypercall's own.
///
/// # Safety
/// Handle and address of each entry belong together, and nothing uses the memory any more.
pub unsafe fn gnttab_unmap(ops: &mut [GnttabUnmapGrantRef]) -> Result<(), Errno> {
    // SAFETY: the structure of this operation; the addresses are the caller's promise.
    unsafe { grant_table_op(Call::GnttabUnmap, GnttabOp::UNMAP_GRANT_REF, ops) }
}

/// `GNTTABOP_copy`.
///
/// # Errors
/// The hypercall's own.
///
/// # Safety
/// Frames that are named by their number are the caller's, and no reference to them exists.
pub unsafe fn gnttab_copy(ops: &mut [GnttabCopy]) -> Result<(), Errno> {
    // SAFETY: the structure of this operation; the frames are the caller's promise.
    unsafe { grant_table_op(Call::GnttabCopy, GnttabOp::COPY, ops) }
}
