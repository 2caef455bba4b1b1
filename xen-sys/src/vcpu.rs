// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vcpu.h`: operations on the domain's own virtual CPUs, including timers.

use bitflags::bitflags;

c_enum! {
    /// `VCPUOP_*`: first argument of `vcpu_op`; the second is the VCPU's number.
    #[derive(PartialOrd, Ord, Default)]
    pub struct VcpuOp(u32) {
        /// Sets a VCPU's registers. Not used: one VCPU.
        INITIALISE = 0,
        /// Starts a VCPU. Not used.
        UP = 1,
        /// Stops a VCPU. Not used.
        DOWN = 2,
        /// Queries whether a VCPU is up: the result is 1 or 0.
        IS_UP = 3,
        /// Takes a [`VcpuRunstateInfo`].
        GET_RUNSTATE_INFO = 4,
        /// Registers memory that Xen keeps up to date. Not used.
        REGISTER_RUNSTATE_MEMORY_AREA = 5,
        /// Starts the periodic timer. Not used.
        SET_PERIODIC_TIMER = 6,
        /// Stops the periodic timer, which runs at boot; no argument.
        STOP_PERIODIC_TIMER = 7,
        /// Takes a [`VcpuSetSingleshotTimer`].
        SET_SINGLESHOT_TIMER = 8,
        /// Disarms the one-shot timer; no argument.
        STOP_SINGLESHOT_TIMER = 9,
        /// Moves `vcpu_info` out of the shared page. Not used.
        REGISTER_VCPU_INFO = 10,
        /// Sends an NMI. Not used.
        SEND_NMI = 11,
        /// Queries the physical CPU's id; privileged.
        GET_PHYSID = 12,
        /// Registers memory for time information. Not used.
        REGISTER_VCPU_TIME_MEMORY_AREA = 13,
    }
}

c_enum! {
    /// `RUNSTATE_*`: what a VCPU is doing, and the index into [`VcpuRunstateInfo::time`].
    #[derive(PartialOrd, Ord, Default)]
    pub struct Runstate(u32) {
        /// On a CPU.
        RUNNING = 0,
        /// Could run, but no CPU is free: what other systems call stolen time.
        RUNNABLE = 1,
        /// Sleeps.
        BLOCKED = 2,
        /// Not started, or paused.
        OFFLINE = 3,
    }
}

/// How a VCPU has spent its time, as returned by [`VcpuOp::GET_RUNSTATE_INFO`] (a snapshot, so not
/// atomic).
#[doc(alias = "vcpu_runstate_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuRunstateInfo {
    /// Out: its current state.
    pub state: Runstate,
    /// Zero.
    pub _pad: u32,
    /// Out: since when, in nanoseconds of system time.
    pub state_entry_time: u64,
    /// Out: nanoseconds spent in each [`Runstate`].
    pub time: [u64; 4],
}
layout!(VcpuRunstateInfo: 48 { state: 0, _pad: 4, state_entry_time: 8, time: 16 });

bitflags! {
    /// `VCPU_SSHOTTMR_*`: what to do about a time in the past.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct VcpuSshottmr: u32 {
        /// Refuse it with `ETIME` instead of firing at once.
        const FUTURE = 1 << 0;
        const _ = !0;
    }
}

/// Arms the one-shot timer, which sends one `VIRQ_TIMER` at the given time. Replaces an earlier
/// one.
#[doc(alias = "vcpu_set_singleshot_timer")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuSetSingleshotTimer {
    /// In: absolute system time in nanoseconds.
    pub timeout_abs_ns: u64,
    /// In: what to do if that is in the past.
    pub flags: VcpuSshottmr,
    /// Zero.
    pub _pad: u32,
}
layout!(VcpuSetSingleshotTimer: 16 { timeout_abs_ns: 0, flags: 8, _pad: 12 });
