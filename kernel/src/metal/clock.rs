//! Time: Xen's system time, the wall clock, and the alarm that ends an idle wait.
//!
//! System time counts nanoseconds since the host booted. Xen publishes a base and a scale for
//! the time stamp counter in `vcpu_info.time`, and marks an update by an odd version
//! (xen/include/public/xen.h, struct vcpu_time_info). The alarm is a one-shot timer that makes
//! VIRQ_TIMER pending.
#![expect(unsafe_code, reason = "the time stamp counter is read by an instruction")]

use core::arch::x86_64::{_mm_lfence, _rdtsc};
use core::sync::atomic::{Ordering, fence};

use embassy_time::{Instant, Timer};
use xen_sys::vcpu::Runstate;
use xen_sys::xen::VcpuTimeInfo;

use super::shared_info;
use crate::hypercall::system;

/// Nanoseconds since the host booted. Before shared_info is mapped: counts of the time stamp
/// counter, which is good enough for a bounded wait.
pub fn now() -> u64 {
    match shared_info::vcpu() {
        Some(vcpu) => system_time(&vcpu.time),
        None => read_tsc(),
    }
}

fn system_time(time: &VcpuTimeInfo) -> u64 {
    loop {
        let version = time.version.load(Ordering::Acquire);
        let base = time.system_time.load(Ordering::Relaxed);
        let since = time.tsc_timestamp.load(Ordering::Relaxed);
        let scale = time.tsc_to_system_mul.load(Ordering::Relaxed);
        let shift = time.tsc_shift.load(Ordering::Relaxed);
        let elapsed = read_tsc().wrapping_sub(since);
        fence(Ordering::Acquire);
        // Odd: Xen was writing. Changed: it has written meanwhile.
        if version.is_multiple_of(2) && version == time.version.load(Ordering::Relaxed) {
            let shifted = if shift < 0 { elapsed >> -shift } else { elapsed << shift };
            return base + ((u128::from(shifted) * u128::from(scale)) >> 32) as u64;
        }
    }
}

fn read_tsc() -> u64 {
    // SAFETY: every processor of the target has the instruction. It keeps the next one from
    // being read early.
    unsafe { _mm_lfence() };
    // SAFETY: a PV guest may read the counter; Xen emulates it where it must.
    unsafe { _rdtsc() }
}

/// Completes when [`now`] has reached `deadline`.
pub fn sleep_until(deadline: u64) -> impl Future<Output = ()> {
    // A tick of the time driver is a nanosecond of system time.
    Timer::at(Instant::from_ticks(deadline))
}

/// Nanoseconds since 1970, UTC, as Xen was told them.
pub fn wall_clock() -> u64 {
    let shared = shared_info::get().expect("a guest runs after the boot");
    loop {
        let version = shared.wc_version.load(Ordering::Acquire);
        let low = u64::from(shared.wc_sec.load(Ordering::Relaxed));
        let high = u64::from(shared.wc_sec_hi.load(Ordering::Relaxed));
        let nanoseconds = u64::from(shared.wc_nsec.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if version.is_multiple_of(2) && version == shared.wc_version.load(Ordering::Relaxed) {
            return (high << 32 | low) * 1_000_000_000 + nanoseconds + now();
        }
    }
}

/// Nanoseconds for which this guest had a processor.
pub fn cpu_time() -> u64 {
    let info = system::runstate().expect("the vCPU is ours");
    info.time[Runstate::RUNNING.0 as usize]
}

/// Stops the timer that ticks from boot: an idle guest is to be idle.
pub fn init() {
    system::stop_periodic_timer().expect("the vCPU is ours");
}

/// Makes VIRQ_TIMER pending at `deadline`.
pub fn set_alarm(deadline: u64) {
    system::set_singleshot_timer(deadline).expect("a deadline that has passed is allowed");
}
