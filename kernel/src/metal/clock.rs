// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time: Xen's system time, the wall clock, and the alarm that ends an idle wait.
//!
//! System time counts nanoseconds since the host booted. Xen publishes a base and a scale for the
//! time stamp counter in `vcpu_info.time`, and marks an update by an odd version
//! (xen/include/public/xen.h, struct vcpu_time_info); `time.rs` computes the time from them. The
//! alarm is a one-shot timer that makes VIRQ_TIMER pending.
#![expect(unsafe_code, reason = "the time stamp counter is read by an instruction")]

use core::arch::asm;
use core::sync::atomic::Ordering;

use drivers::Errno;
use embassy_time::{Instant, Timer};
use xen_sys::vcpu::Runstate;
use xen_sys::xen::VcpuTimeInfo;

use super::shared_info;
use crate::hypercall::system;
use crate::time::{Latest, TimeInfo, settled};

/// The latest time that [`now`] returned.
static LATEST: Latest = Latest::new();

/// Nanoseconds since the host booted; never decreases. Before shared_info is mapped, this is the
/// raw time stamp counter, which is good enough for a bounded wait.
pub fn now() -> u64 {
    match shared_info::vcpu() {
        Some(vcpu) => LATEST.or_later(system_time(&vcpu.time)),
        None => read_tsc(),
    }
}

fn system_time(time: &VcpuTimeInfo) -> u64 {
    settled(
        || time.version.load(Ordering::Acquire),
        || {
            let info = TimeInfo {
                system_time: time.system_time.load(Ordering::Relaxed),
                tsc_timestamp: time.tsc_timestamp.load(Ordering::Relaxed),
                tsc_to_system_mul: time.tsc_to_system_mul.load(Ordering::Relaxed),
                tsc_shift: time.tsc_shift.load(Ordering::Relaxed),
            };
            info.at(read_tsc())
        },
    )
}

fn read_tsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: every processor of the target has the first instruction, which keeps the counter from
    // being read early. A PV guest may read the counter; Xen emulates it where it must.
    unsafe {
        asm!("lfence", "rdtsc", out("rax") low, out("rdx") high, options(nostack, preserves_flags));
    }
    high << 32 | low
}

/// Completes when [`now`] reaches `deadline`.
pub fn sleep_until(deadline: u64) -> impl Future<Output = ()> {
    // A tick of the time driver is a nanosecond of system time.
    Timer::at(Instant::from_ticks(deadline))
}

/// Nanoseconds since 1970, UTC, by Xen's wall clock; 0 before shared_info is mapped.
pub fn wall_clock() -> u64 {
    let Some(shared) = shared_info::get() else {
        return 0;
    };
    let at_boot = settled(
        || shared.wc_version.load(Ordering::Acquire),
        || {
            let low = u64::from(shared.wc_sec.load(Ordering::Relaxed));
            let high = u64::from(shared.wc_sec_hi.load(Ordering::Relaxed));
            let nanoseconds = u64::from(shared.wc_nsec.load(Ordering::Relaxed));
            (high << 32 | low).saturating_mul(1_000_000_000).saturating_add(nanoseconds)
        },
    );
    at_boot.saturating_add(now())
}

/// CPU time of this guest, in nanoseconds; 0 if Xen doesn't say.
pub fn cpu_time() -> u64 {
    system::runstate().map_or(0, |info| info.time[Runstate::RUNNING.0 as usize])
}

/// Stops the timer that ticks from boot, so that an idle guest stays idle.
///
/// # Errors
/// None that Xen documents.
pub fn init() -> Result<(), Errno> {
    system::stop_periodic_timer()
}

/// Makes VIRQ_TIMER pending at `deadline`.
///
/// # Errors
/// None that Xen documents: a deadline that has passed is allowed.
pub fn set_alarm(deadline: u64) -> Result<(), Errno> {
    system::set_singleshot_timer(deadline)
}
