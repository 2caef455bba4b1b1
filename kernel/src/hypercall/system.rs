//! The scheduler, timers, and where Xen enters the guest.
#![expect(unsafe_code, reason = "hypercalls")]

use drivers::{Call, Errno};
use xen_sys::callback::{CallbackOp, CallbackRegister};
use xen_sys::sched::{SchedOp, SchedShutdown, ShutdownReason};
use xen_sys::vcpu::{VcpuOp, VcpuRunstateInfo, VcpuSetSingleshotTimer};
use xen_sys::xen::Hypercall;
use xen_sys::xen_x86_64::TrapInfo;

use super::{address, call};

/// `SCHEDOP_block`: unmasks upcalls, and sleeps unless one is pending.
pub fn sched_block() {
    let args = [u64::from(SchedOp::BLOCK.0), 0, 0, 0];
    // SAFETY: no memory is involved. It can't fail.
    let _ = unsafe { call(Call::SchedBlock, Hypercall::SCHED_OP, args) };
}

/// `SCHEDOP_shutdown`: the end of the domain.
pub fn sched_shutdown(reason: ShutdownReason) -> ! {
    let mut op = SchedShutdown { reason };
    loop {
        let args = [u64::from(SchedOp::SHUTDOWN.0), address(&mut op), 0, 0];
        // SAFETY: Xen reads one `SchedShutdown`. It returns only where the toolstack resumes us.
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

/// `set_trap_table`: where exceptions go. The last entry becomes the end mark, of address 0.
///
/// # Errors
/// EINVAL for no entry; Xen's: EFAULT, EPERM for an address that is Xen's.
///
/// # Safety
/// Each address is that of a handler that understands the frame Xen pushes.
pub unsafe fn set_trap_table(table: &mut [TrapInfo]) -> Result<(), Errno> {
    *table.last_mut().ok_or(Errno::EINVAL)? = TrapInfo::default();
    let args = [address(table), 0, 0, 0];
    // SAFETY: Xen reads up to the end mark; the handlers are the caller's promise.
    unsafe { call(Call::SetTrapTable, Hypercall::SET_TRAP_TABLE, args) }.map(drop)
}

/// `CALLBACKOP_register`: where Xen enters on an event, or when loading a segment failed.
///
/// # Errors
/// EINVAL for an address that is Xen's.
///
/// # Safety
/// The address is that of a handler that understands the frame Xen pushes.
pub unsafe fn register_callback(mut callback: CallbackRegister) -> Result<(), Errno> {
    let args = [u64::from(CallbackOp::REGISTER.0), address(&mut callback), 0, 0];
    // SAFETY: Xen reads one `CallbackRegister`; the handler is the caller's promise.
    unsafe { call(Call::CallbackOp, Hypercall::CALLBACK_OP, args) }.map(drop)
}
