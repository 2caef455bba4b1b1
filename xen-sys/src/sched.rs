// SPDX-License-Identifier: MIT OR Apache-2.0
//! `sched.h`: giving up the CPU, waiting for events, ending the domain.

c_enum! {
    /// `SCHEDOP_*`: first argument of `sched_op`.
    #[derive(PartialOrd, Ord, Default)]
    pub struct SchedOp(u32) {
        /// Lets other VCPUs run; no argument.
        YIELD = 0,
        /// Unmasks the upcall and sleeps until an event is pending, atomically; no argument.
        BLOCK = 1,
        /// Takes a [`SchedShutdown`].
        SHUTDOWN = 2,
        /// Takes a [`SchedPoll`].
        POLL = 3,
        /// Ends another domain; privileged.
        REMOTE_SHUTDOWN = 4,
        /// Takes a [`SchedShutdown`]: the reason to report when this domain is shut down later.
        SHUTDOWN_CODE = 5,
        /// Arms a watchdog that ends the domain. Not used.
        WATCHDOG = 6,
        /// Pins the VCPU; privileged.
        PIN_OVERRIDE = 7,
    }
}

c_enum! {
    /// `SHUTDOWN_*`: why a domain ends. The toolstack acts on it.
    #[derive(PartialOrd, Ord, Default)]
    pub struct ShutdownReason(u32) {
        /// The guest is done; `on_poweroff`.
        POWEROFF = 0,
        /// Restart; `on_reboot`.
        REBOOT = 1,
        /// Save the domain. Takes the `start_info` frame in the third hypercall argument.
        SUSPEND = 2,
        /// The guest has crashed; `on_crash`.
        CRASH = 3,
        /// A watchdog fired; `on_watchdog`.
        WATCHDOG = 4,
        /// Restart, but keep the memory; `on_soft_reset`.
        SOFT_RESET = 5,
    }
}

/// Ends the domain.
#[doc(alias = "sched_shutdown")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedShutdown {
    /// In: why.
    pub reason: ShutdownReason,
}
layout!(SchedShutdown: 4 { reason: 0 });

/// Sleeps until one of the ports is pending or the timeout has passed, with the upcall masked.
///
/// It may also return early without a reason. If a port is already pending, it returns at once.
#[doc(alias = "sched_poll")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedPoll {
    /// In: address of a `u32` array of ports.
    pub ports: u64,
    /// In: its length, at most 128.
    pub nr_ports: u32,
    /// Zero.
    pub _pad: u32,
    /// In: absolute system time in nanoseconds; 0 waits without limit.
    pub timeout: u64,
}
layout!(SchedPoll: 24 { ports: 0, nr_ports: 8, _pad: 12, timeout: 16 });
