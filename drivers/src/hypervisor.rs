// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seam to Xen: one method for each operation in use.
//!
//! A method takes the ABI structs by `&mut` (a slice where Xen takes a batch), makes one hypercall
//! and returns that call's own error. The status that Xen writes to each entry stays there for the
//! caller to read. This crate thus judges errors of both levels, where host tests reach that code.
//! In a real guest each method is one line; in the crate `fake-xen` it is a model.
//!
//! An application never holds an implementor: it gets a [`crate::System`], the harmless subset.
//! This file refuses to decide anything: it has no retries, no clean-up and no flags of its own.
#![expect(unsafe_code, reason = "methods that name addresses have duties for the caller")]

mod counters;

use core::future::Future;

use xen_sys::event_channel::{
    EvtchnAllocUnbound, EvtchnBindInterdomain, EvtchnBindVirq, EvtchnClose, EvtchnSend,
    EvtchnStatus,
};
use xen_sys::grant_table::{
    GnttabCopy, GnttabGetVersion, GnttabMapGrantRef, GnttabQuerySize, GnttabSetupTable,
    GnttabUnmapGrantRef,
};

pub use self::counters::Counters;
use crate::Errno;

/// What the guest asks of Xen.
///
/// The methods take `&self` because in a real guest the implementor is a zero-sized `Copy` type,
/// but in tests a handle on a shared world plus a domain number, so that one test can run two
/// guests.
///
/// # Safety
/// An implementor must keep the duties under "Implementation safety": the module `raw` frees or
/// reuses memory according to what Xen wrote into an operation. A method without such a heading
/// must touch no memory but its arguments.
pub unsafe trait Hypervisor {
    /// Returns the counts of all calls made through this implementor.
    ///
    /// Each method below counts one call per hypercall; a batch counts once.
    fn counters(&self) -> &Counters;

    /// `GNTTABOP_query_size`.
    ///
    /// # Errors
    /// The hypercall's own; the caller must check `op.status`.
    fn gnttab_query_size(&self, op: &mut GnttabQuerySize) -> Result<(), Errno>;

    /// `GNTTABOP_get_version`.
    ///
    /// # Errors
    /// The hypercall's own.
    fn gnttab_get_version(&self, op: &mut GnttabGetVersion) -> Result<(), Errno>;

    /// `GNTTABOP_setup_table`: grows the table to `op.nr_frames` frames of 512 entries and stores
    /// the machine frame of each in `frames`. The implementor sets `op.frame_list`.
    ///
    /// # Errors
    /// EINVAL if `frames` is shorter than `op.nr_frames`, else the hypercall's own.
    ///
    /// # Implementation safety
    /// Writes no more than `op.nr_frames` numbers to `frames`.
    fn gnttab_setup_table(
        &self,
        op: &mut GnttabSetupTable,
        frames: &mut [u64],
    ) -> Result<(), Errno>;

    /// `GNTTABOP_map_grant_ref`: one hypercall for the whole batch.
    ///
    /// # Errors
    /// The hypercall's own. Entries before the one it stopped at may have been carried out.
    ///
    /// # Implementation safety
    /// Writes only `status`, `handle` and `dev_bus_addr` of the entries, and the page-table entries
    /// of the host addresses.
    ///
    /// # Safety
    /// Each `host_addr`, with its flags, came from [`crate::memory::Memory::host_addr`] for a
    /// prepared page of a slot that the caller holds. Nothing is mapped there; Xen would overwrite
    /// it.
    unsafe fn gnttab_map(&self, ops: &mut [GnttabMapGrantRef]) -> Result<(), Errno>;

    /// `GNTTABOP_unmap_grant_ref`: one hypercall for the whole batch. Xen flushes the TLB once per
    /// 32 entries.
    ///
    /// # Errors
    /// The hypercall's own. Entries before the one it stopped at may have been carried out.
    ///
    /// # Implementation safety
    /// An entry whose status is then `okay` no longer maps anything.
    ///
    /// # Safety
    /// Each entry holds the handle *and* the address of the same live mapping (Xen does not check
    /// that they belong together), and nothing accesses that memory any more.
    unsafe fn gnttab_unmap(&self, ops: &mut [GnttabUnmapGrantRef]) -> Result<(), Errno>;

    /// `GNTTABOP_copy`: one hypercall for the whole batch.
    ///
    /// # Errors
    /// The hypercall's own. Entries before the one it stopped at may have been carried out.
    ///
    /// # Safety
    /// Each frame that an entry names by number belongs to a [`crate::memory::Page`] that the
    /// caller holds, and its bytes are accessed by address only.
    unsafe fn gnttab_copy(&self, ops: &mut [GnttabCopy]) -> Result<(), Errno>;

    /// `XENMEM_decrease_reservation`: gives frames back to Xen, one hypercall for the whole batch.
    /// Returns how many were given back, counted from the first; Xen says nothing about the rest.
    ///
    /// # Errors
    /// The hypercall's own; no frame was given back.
    ///
    /// # Safety
    /// The frames belonged to pages that were detached ([`crate::memory::Memory::detach_page`]),
    /// and have not been given back since.
    unsafe fn decrease_reservation(&self, gfns: &[u64]) -> Result<usize, Errno>;

    /// `XENMEM_populate_physmap`: takes frames from Xen for these PFNs, one hypercall for the whole
    /// batch. Returns how many were populated, counted from the first; their entries now hold GFNs.
    ///
    /// # Errors
    /// The hypercall's own; nothing was populated.
    fn populate_physmap(&self, frames: &mut [u64]) -> Result<usize, Errno>;

    /// `EVTCHNOP_alloc_unbound`.
    ///
    /// # Errors
    /// ENOSPC if the domain has no port left. Xen doesn't check that the peer exists.
    fn evtchn_alloc_unbound(&self, op: &mut EvtchnAllocUnbound) -> Result<(), Errno>;

    /// `EVTCHNOP_bind_interdomain`. Xen sets the new port pending once, in case the peer has sent
    /// an event before.
    ///
    /// # Errors
    /// ESRCH if the domain doesn't exist, EINVAL if the port is not offered to us, ENOSPC if no
    /// port is left.
    fn evtchn_bind_interdomain(&self, op: &mut EvtchnBindInterdomain) -> Result<(), Errno>;

    /// `EVTCHNOP_bind_virq`.
    ///
    /// # Errors
    /// EEXIST if the VIRQ is already bound, EINVAL if it is unknown, ENOSPC if no port is left.
    fn evtchn_bind_virq(&self, op: &mut EvtchnBindVirq) -> Result<(), Errno>;

    /// `EVTCHNOP_close`.
    ///
    /// # Errors
    /// EINVAL if the port is not open.
    fn evtchn_close(&self, op: EvtchnClose) -> Result<(), Errno>;

    /// `EVTCHNOP_send`. If the other end is gone, Xen drops the event without an error.
    ///
    /// # Errors
    /// EINVAL if the port is not open or is bound to a VIRQ.
    fn evtchn_send(&self, op: EvtchnSend) -> Result<(), Errno>;

    /// `EVTCHNOP_status`.
    ///
    /// # Errors
    /// EINVAL if the port is out of range, ESRCH if the domain doesn't exist.
    fn evtchn_status(&self, op: &mut EvtchnStatus) -> Result<(), Errno>;

    /// `CONSOLEIO_write`: writes all of `bytes` to Xen's own console.
    ///
    /// # Errors
    /// EPERM for an unprivileged domain on a release build of Xen.
    fn console_io_write(&self, bytes: &[u8]) -> Result<(), Errno>;

    /// `CONSOLEIO_read`: reads what was typed since the last call, as much as fits. Returns the
    /// number of bytes read.
    ///
    /// # Errors
    /// EPERM for an unprivileged domain.
    fn console_io_read(&self, bytes: &mut [u8]) -> Result<usize, Errno>;

    /// `SCHEDOP_yield`: lets another domain run. For bounded waits in code that can't `await`.
    fn yield_cpu(&self);

    /// Returns Xen's system time: nanoseconds since the host booted, monotonic.
    fn now(&self) -> u64;

    /// Completes when [`Hypervisor::now`] has reached `deadline` nanoseconds.
    fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()>;
}

macro_rules! calls {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A hypercall, or one sub-operation of a hypercall that has several.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call {
            $(#[doc = concat!("`", $name, "`.")] $(#[doc = $doc])* $variant,)*
        }

        impl Call {
            /// All counted calls, in the order of the list below.
            pub const ALL: &'static [Call] = &[$(Call::$variant,)*];

            /// Returns the name in Xen's headers.
            pub fn name(self) -> &'static str {
                match self { $(Call::$variant => $name,)* }
            }
        }
    };
}

calls! {
    SetTrapTable = "set_trap_table",
    MmuUpdate = "mmu_update",
    SetGdt = "set_gdt",
    StackSwitch = "stack_switch",
    SetCallbacks = "set_callbacks",
    MemoryOp = "memory_op",
    UpdateVaMapping = "update_va_mapping",
    SetTimerOp = "set_timer_op",
    XenVersion = "xen_version",
    ConsoleWrite = "console_io.write",
    ConsoleRead = "console_io.read",
    GnttabMap = "grant_table_op.map_grant_ref",
    GnttabUnmap = "grant_table_op.unmap_grant_ref",
    GnttabCopy = "grant_table_op.copy",
    GnttabSetupTable = "grant_table_op.setup_table",
    GnttabQuerySize = "grant_table_op.query_size",
    GnttabGetVersion = "grant_table_op.get_version",
    VmAssist = "vm_assist",
    Vcpu = "vcpu_op",
    MmuextOp = "mmuext_op",
    SchedYield = "sched_op.yield",
    SchedBlock = "sched_op.block",
    SchedShutdown = "sched_op.shutdown",
    CallbackOp = "callback_op",
    EvtchnAllocUnbound = "event_channel_op.alloc_unbound",
    EvtchnBindInterdomain = "event_channel_op.bind_interdomain",
    EvtchnBindVirq = "event_channel_op.bind_virq",
    EvtchnClose = "event_channel_op.close",
    EvtchnSend = "event_channel_op.send",
    EvtchnStatus = "event_channel_op.status",
    HvmOp = "hvm_op",
}
