// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to Xen: one line per hypercall. The seam to memory is `metal/memory/seam.rs`.
//!
//! Nothing is decided here. On the host no [`Xen`] can exist, so the same lines compile there but
//! never run.
#![expect(unsafe_code, reason = "a hypercall may change any memory")]

use core::slice;

use drivers::{Call, Counters, Errno, Hypervisor};
use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnOp, EvtchnSend,
    EvtchnStatus,
};
use xen_sys::grant_table::{
    GnttabCopy, GnttabGetVersion, GnttabMapGrantRef, GnttabOp, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef,
};
use xen_sys::memory::{MemoryOp, XenMemoryReservation};
use xen_sys::sched::SchedOp;
use xen_sys::xen::{ConsoleIo, DOMID_SELF, Hypercall};

use crate::hypercall::{COUNTERS, address, call};
use crate::machine::clock;

/// The Xen below this guest, and the guest's own memory: a zero-sized value that only the kernel
/// can make.
///
/// Applications name the type (`Services<Xen>`); the value itself is for people who test Xen,
/// through [`crate::raw::xen`].
#[derive(Clone, Copy, Debug)]
pub struct Xen(pub(crate) Proof);

/// The content of a `Xen`. On the host this is a type without values, so no `Xen` exists there.
#[cfg(target_os = "none")]
type Proof = ();
#[cfg(not(target_os = "none"))]
type Proof = core::convert::Infallible;

#[cfg(target_os = "none")]
impl Xen {
    /// The kernel's own value.
    pub(crate) const HERE: Self = Self(());
}

/// The arguments of `event_channel_op`: the operation and its structure.
fn event<T>(op: EvtchnOp, of: &mut T) -> [u64; 4] {
    [op.0.into(), address(of), 0, 0]
}

/// The arguments of `grant_table_op`: the operation, the structures, and their number.
fn grants<T>(op: GnttabOp, of: &mut [T]) -> [u64; 4] {
    [op.0.into(), address(of), of.len() as u64, 0]
}

/// `memory_op` on a list of frames; returns how many of them it processed.
///
/// # Safety
/// `frames` is the address of `len` numbers that Xen may write for this operation.
unsafe fn reservation(op: MemoryOp, frames: u64, len: usize) -> Result<usize, Errno> {
    let mut of = XenMemoryReservation {
        extent_start: frames,
        nr_extents: len as u64,
        domid: DOMID_SELF,
        ..Default::default()
    };
    let args = [op.0.into(), address(&mut of), 0, 0];
    // SAFETY: the structure of this operation; the caller vouches for its list.
    unsafe { call(Call::MemoryOp, Hypercall::MEMORY_OP, args) }.map(|done| done as usize)
}

// SAFETY: each method passes the structures that its operation takes, and Xen writes to them what
// its headers say; `call` reads and writes nothing else.
unsafe impl Hypervisor for Xen {
    fn counters(&self) -> &Counters {
        &COUNTERS
    }

    fn gnttab_query_size(&self, op: &mut GnttabQuerySize) -> Result<(), Errno> {
        let args = grants(GnttabOp::QUERY_SIZE, slice::from_mut(op));
        // SAFETY: the structure of this operation.
        unsafe { call(Call::GnttabQuerySize, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    fn gnttab_get_version(&self, op: &mut GnttabGetVersion) -> Result<(), Errno> {
        let args = grants(GnttabOp::GET_VERSION, slice::from_mut(op));
        // SAFETY: the structure of this operation.
        unsafe { call(Call::GnttabGetVersion, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    fn gnttab_setup_table(
        &self,
        op: &mut GnttabSetupTable,
        frames: &mut [u64],
    ) -> Result<(), Errno> {
        if frames.len() < op.nr_frames as usize {
            return Err(Errno::EINVAL);
        }
        op.frame_list = address(frames);
        let args = grants(GnttabOp::SETUP_TABLE, slice::from_mut(op));
        // SAFETY: the structure of this operation; `frames` has room for `nr_frames` numbers.
        unsafe { call(Call::GnttabSetupTable, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    unsafe fn gnttab_map(&self, ops: &mut [GnttabMapGrantRef]) -> Result<(), Errno> {
        let args = grants(GnttabOp::MAP_GRANT_REF, ops);
        // SAFETY: structures of this operation; their addresses are the caller's promise.
        unsafe { call(Call::GnttabMap, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    unsafe fn gnttab_unmap(&self, ops: &mut [GnttabUnmapGrantRef]) -> Result<(), Errno> {
        let args = grants(GnttabOp::UNMAP_GRANT_REF, ops);
        // SAFETY: structures of this operation; their addresses are the caller's promise.
        unsafe { call(Call::GnttabUnmap, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    unsafe fn gnttab_copy(&self, ops: &mut [GnttabCopy]) -> Result<(), Errno> {
        let args = grants(GnttabOp::COPY, ops);
        // SAFETY: structures of this operation; their frames are the caller's promise.
        unsafe { call(Call::GnttabCopy, Hypercall::GRANT_TABLE_OP, args) }.map(drop)
    }

    unsafe fn decrease_reservation(&self, gfns: &[u64]) -> Result<usize, Errno> {
        let frames = gfns.as_ptr().expose_provenance() as u64;
        // SAFETY: Xen reads these numbers; the caller promises that the frames are unused.
        unsafe { reservation(MemoryOp::DECREASE_RESERVATION, frames, gfns.len()) }
    }

    fn populate_physmap(&self, frames: &mut [u64]) -> Result<usize, Errno> {
        // SAFETY: Xen reads and writes these numbers.
        unsafe { reservation(MemoryOp::POPULATE_PHYSMAP, address(frames), frames.len()) }
    }

    fn evtchn_alloc_unbound(&self, op: &mut EvtchnAllocUnbound) -> Result<(), Errno> {
        let args = event(EvtchnOp::ALLOC_UNBOUND, op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnAllocUnbound, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn evtchn_bind_interdomain(&self, op: &mut EvtchnBindInterdomain) -> Result<(), Errno> {
        let args = event(EvtchnOp::BIND_INTERDOMAIN, op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnBindInterdomain, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn evtchn_bind_virq(&self, op: &mut EvtchnBindVirq) -> Result<(), Errno> {
        let args = event(EvtchnOp::BIND_VIRQ, op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnBindVirq, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn evtchn_close(&self, mut op: EvtchnClose) -> Result<(), Errno> {
        let args = event(EvtchnOp::CLOSE, &mut op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnClose, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn evtchn_send(&self, mut op: EvtchnSend) -> Result<(), Errno> {
        let args = event(EvtchnOp::SEND, &mut op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnSend, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn evtchn_status(&self, op: &mut EvtchnStatus) -> Result<(), Errno> {
        let args = event(EvtchnOp::STATUS, op);
        // SAFETY: the structure of this operation.
        unsafe { call(Call::EvtchnStatus, Hypercall::EVENT_CHANNEL_OP, args) }.map(drop)
    }

    fn console_io_write(&self, bytes: &[u8]) -> Result<(), Errno> {
        let start = bytes.as_ptr().expose_provenance() as u64;
        let args = [ConsoleIo::WRITE.0.into(), bytes.len() as u64, start, 0];
        // SAFETY: Xen reads `bytes`.
        unsafe { call(Call::ConsoleWrite, Hypercall::CONSOLE_IO, args) }.map(drop)
    }

    fn console_io_read(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        let args = [ConsoleIo::READ.0.into(), bytes.len() as u64, address(bytes), 0];
        // SAFETY: Xen writes at most `bytes.len()` bytes to `bytes`.
        unsafe { call(Call::ConsoleRead, Hypercall::CONSOLE_IO, args) }.map(|read| read as usize)
    }

    fn yield_cpu(&self) {
        // SAFETY: no memory is involved. It can't fail.
        let _ = unsafe {
            call(Call::SchedYield, Hypercall::SCHED_OP, [SchedOp::YIELD.0.into(), 0, 0, 0])
        };
    }

    fn now(&self) -> u64 {
        clock::now()
    }

    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        clock::sleep_until(deadline)
    }
}
