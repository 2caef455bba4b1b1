// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scheduler and timers.
#![expect(unsafe_code, reason = "hypercalls")]

use drivers::{Call, Errno};
use xen_sys::sched::{SchedOp, SchedShutdown, ShutdownReason};
use xen_sys::vcpu::{VcpuOp, VcpuRunstateInfo, VcpuSetSingleshotTimer};
use xen_sys::xen::Hypercall;

use super::{address, call};

/// `SCHEDOP_shutdown`: ends the domain.
pub fn sched_shutdown(reason: ShutdownReason) -> ! {
    let mut op = SchedShutdown { reason };
    loop {
        let args = [u64::from(SchedOp::SHUTDOWN.0), address(&mut op), 0, 0];
        // SAFETY: Xen reads one `SchedShutdown`. It returns only if the toolstack resumes us.
        let _ = unsafe { call(Call::SchedShutdown, Hypercall::SCHED_OP, args) };
    }
}

/// `VCPUOP_stop_periodic_timer` of the only vCPU.
///
/// # Errors
/// None that Xen documents.
pub fn stop_periodic_timer() -> Result<(), Errno> {
    let args = [u64::from(VcpuOp::STOP_PERIODIC_TIMER.0), 0, 0, 0];
    // SAFETY: no memory is involved.
    unsafe { call(Call::Vcpu, Hypercall::VCPU_OP, args) }.map(drop)
}

/// `VCPUOP_get_runstate_info`: where the only vCPU's time went.
///
/// # Errors
/// None that Xen documents.
pub fn runstate() -> Result<VcpuRunstateInfo, Errno> {
    let mut info = VcpuRunstateInfo::default();
    let args = [u64::from(VcpuOp::GET_RUNSTATE_INFO.0), 0, address(&mut info), 0];
    // SAFETY: Xen writes one `VcpuRunstateInfo`.
    unsafe { call(Call::Vcpu, Hypercall::VCPU_OP, args) }.map(|_| info)
}

/// `VCPUOP_set_singleshot_timer`: one VIRQ_TIMER at `deadline`, at once if that has passed.
///
/// # Errors
/// None that Xen documents.
pub fn set_singleshot_timer(deadline: u64) -> Result<(), Errno> {
    let mut op = VcpuSetSingleshotTimer { timeout_abs_ns: deadline, ..Default::default() };
    let args = [u64::from(VcpuOp::SET_SINGLESHOT_TIMER.0), 0, address(&mut op), 0];
    // SAFETY: Xen reads one `VcpuSetSingleshotTimer`.
    unsafe { call(Call::Vcpu, Hypercall::VCPU_OP, args) }.map(drop)
}
