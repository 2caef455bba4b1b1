// SPDX-License-Identifier: MIT OR Apache-2.0
//! `xen.h`: the page that a domain and Xen share.

use crate::xen_x86_64::{ArchSharedInfo, ArchVcpuInfo, XEN_LEGACY_MAX_VCPUS};
use core::sync::atomic::{AtomicI8, AtomicU8, AtomicU32, AtomicU64};

/// Bit of [`VcpuTimeInfo::flags`]: the clock is monotonic across VCPUs.
pub const XEN_PVCLOCK_TSC_STABLE_BIT: u8 = 1 << 0;
/// Bit of [`VcpuTimeInfo::flags`]: the guest was stopped by its host.
pub const XEN_PVCLOCK_GUEST_STOPPED: u8 = 1 << 1;

/// How to convert the time stamp counter to time, in memory that Xen writes at any time.
///
/// System time in nanoseconds is `system_time + ((tsc - tsc_timestamp) << tsc_shift) *
/// tsc_to_system_mul >> 32`; a negative shift is to the right. The fields are consistent if
/// `version` is even before reading them and unchanged afterwards.
#[doc(alias = "vcpu_time_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuTimeInfo {
    /// Odd while Xen writes the other fields.
    pub version: AtomicU32,
    /// Padding. The C header's `pad0`.
    pub _pad0: AtomicU32,
    /// The counter's value at `system_time`.
    pub tsc_timestamp: AtomicU64,
    /// Nanoseconds since Xen booted, at `tsc_timestamp`.
    pub system_time: AtomicU64,
    /// Nanoseconds per shifted count, as a 32-bit fraction.
    pub tsc_to_system_mul: AtomicU32,
    /// Shift of counts; may be negative.
    pub tsc_shift: AtomicI8,
    /// `XEN_PVCLOCK_*`.
    pub flags: AtomicU8,
    /// Padding. The C header's `pad1`.
    pub _pad1: [AtomicU8; 2],
}
layout!(VcpuTimeInfo: 32 {
    version: 0, _pad0: 4, tsc_timestamp: 8, system_time: 16, tsc_to_system_mul: 24, tsc_shift: 28,
    flags: 29, _pad1: 30,
});

impl VcpuTimeInfo {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            _pad0: AtomicU32::new(0),
            tsc_timestamp: AtomicU64::new(0),
            system_time: AtomicU64::new(0),
            tsc_to_system_mul: AtomicU32::new(0),
            tsc_shift: AtomicI8::new(0),
            flags: AtomicU8::new(0),
            _pad1: [const { AtomicU8::new(0) }; 2],
        }
    }
}

/// What a VCPU and Xen exchange, in memory that Xen writes at any time.
#[doc(alias = "vcpu_info")]
#[repr(C)]
#[derive(Debug, Default)]
pub struct VcpuInfo {
    /// Set by Xen when an event is pending. Clear it *before* looking for events.
    pub evtchn_upcall_pending: AtomicU8,
    /// Non-zero: no upcalls. After clearing it, check `evtchn_upcall_pending`: Xen makes no upcall
    /// for what became pending while it was set.
    pub evtchn_upcall_mask: AtomicU8,
    /// Nothing.
    pub _pad: [AtomicU8; 6],
    /// Bit *n*: word *n* of [`SharedInfo::evtchn_pending`] may have a bit set. Read and clear it
    /// with an exchange.
    pub evtchn_pending_sel: AtomicU64,
    /// The x86 part.
    pub arch: ArchVcpuInfo,
    /// The clock.
    pub time: VcpuTimeInfo,
}
layout!(VcpuInfo: 64 {
    evtchn_upcall_pending: 0, evtchn_upcall_mask: 1, _pad: 2, evtchn_pending_sel: 8, arch: 16,
    time: 32,
});

impl VcpuInfo {
    /// All zero: nothing pending, nothing masked.
    pub const fn new() -> Self {
        Self {
            evtchn_upcall_pending: AtomicU8::new(0),
            evtchn_upcall_mask: AtomicU8::new(0),
            _pad: [const { AtomicU8::new(0) }; 6],
            evtchn_pending_sel: AtomicU64::new(0),
            arch: ArchVcpuInfo::new(),
            time: VcpuTimeInfo::new(),
        }
    }
}

/// The page that a domain and Xen share, in memory that Xen writes at any time.
#[doc(alias = "shared_info")]
#[repr(C)]
#[derive(Debug)]
pub struct SharedInfo {
    /// One for each of the first 32 VCPUs.
    pub vcpu_info: [VcpuInfo; XEN_LEGACY_MAX_VCPUS],
    /// Bit `port % 64` of word `port / 64`: the port is pending. The guest clears it.
    pub evtchn_pending: [AtomicU64; 64],
    /// Likewise: the port is masked. Clearing a bit here doesn't deliver what is already pending;
    /// `EvtchnOp::UNMASK` does.
    pub evtchn_mask: [AtomicU64; 64],
    /// Odd while Xen writes the wall clock.
    pub wc_version: AtomicU32,
    /// The time at Xen's boot (system time 0), in seconds since 1970 UTC, low half.
    pub wc_sec: AtomicU32,
    /// Nanoseconds, below 1000000000.
    pub wc_nsec: AtomicU32,
    /// Seconds, high half.
    pub wc_sec_hi: AtomicU32,
    /// The x86 part.
    pub arch: ArchSharedInfo,
}
layout!(SharedInfo: 3136 {
    vcpu_info: 0, evtchn_pending: 2048, evtchn_mask: 2560, wc_version: 3072, wc_sec: 3076,
    wc_nsec: 3080, wc_sec_hi: 3084, arch: 3088,
});

impl SharedInfo {
    /// All zero: nothing pending, nothing masked.
    pub const fn new() -> Self {
        Self {
            vcpu_info: [const { VcpuInfo::new() }; XEN_LEGACY_MAX_VCPUS],
            evtchn_pending: [const { AtomicU64::new(0) }; 64],
            evtchn_mask: [const { AtomicU64::new(0) }; 64],
            wc_version: AtomicU32::new(0),
            wc_sec: AtomicU32::new(0),
            wc_nsec: AtomicU32::new(0),
            wc_sec_hi: AtomicU32::new(0),
            arch: ArchSharedInfo::new(),
        }
    }
}

impl Default for SharedInfo {
    fn default() -> Self {
        Self::new()
    }
}
