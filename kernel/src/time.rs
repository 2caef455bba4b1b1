// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns Xen's numbers into time that never goes backwards.
//!
//! Xen's numbers are not trusted: whatever they are, a time comes out, without delay.

use core::sync::atomic::{AtomicU64, Ordering, fence};

/// Number of times to read a changing value before accepting the last reading.
const TRIES: u32 = 1000;

/// The latest time returned.
#[derive(Debug)]
pub struct Latest(AtomicU64);

impl Latest {
    /// No time yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// `time`, or the latest time returned before, if that is later.
    pub fn or_later(&self, time: u64) -> u64 {
        self.0.fetch_max(time, Ordering::Relaxed).max(time)
    }
}

/// Xen's one-shot timer: when it is set for, and whether it has fired.
///
/// Only its event tells that it has fired. Our clock can't: if it lags behind Xen's, an alarm that
/// has fired would seem still to come, and nobody would set it again.
#[derive(Debug)]
pub struct Alarm(Option<u64>);

impl Alarm {
    /// Not set.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Xen will fire at `deadline`, and no longer at an earlier time.
    pub fn set(&mut self, deadline: u64) {
        self.0 = Some(deadline);
    }

    /// It has fired, or was refused.
    pub fn rang(&mut self) {
        self.0 = None;
    }

    /// Whether it will fire by `deadline`. One that has fired unnoticed counts: its pending event
    /// ends every sleep.
    pub fn rings_by(&self, deadline: u64) -> bool {
        self.0.is_some_and(|alarm| alarm <= deadline)
    }
}

/// System time as `struct vcpu_time_info` describes it.
#[derive(Clone, Copy, Debug)]
pub struct TimeInfo {
    /// Nanoseconds at `tsc_timestamp`.
    pub system_time: u64,
    /// The time stamp counter then.
    pub tsc_timestamp: u64,
    /// Nanoseconds per count, times 2^32.
    pub tsc_to_system_mul: u32,
    /// How far a count is shifted to the left first; a negative number shifts to the right.
    pub tsc_shift: i8,
}

impl TimeInfo {
    /// System time, in nanoseconds, when the counter is at `tsc`. A counter that lags behind
    /// `tsc_timestamp` adds nothing.
    ///
    /// Both wrap around. Where Xen emulates the counter, it begins at zero with the domain, but
    /// `tsc_timestamp` may be up to a second older, and is then negative
    /// (xen/arch/x86/time.c, gtime_to_gtsc).
    pub fn at(&self, tsc: u64) -> u64 {
        let elapsed = tsc.wrapping_sub(self.tsc_timestamp);
        let elapsed = if elapsed.cast_signed() < 0 { 0 } else { elapsed };
        let by = u32::from(self.tsc_shift.unsigned_abs());
        let shifted =
            if self.tsc_shift < 0 { elapsed.checked_shr(by) } else { elapsed.checked_shl(by) };
        let scaled = u128::from(shifted.unwrap_or(0)) * u128::from(self.tsc_to_system_mul);
        self.system_time.saturating_add((scaled >> 32) as u64)
    }
}

/// Reads a value that Xen may be changing. Xen makes `version` odd before a change and even after
/// it.
///
/// Xen changes the time of a vCPU on the processor that runs it, never while the guest does, and
/// the wall clock in a few stores; so a version that stays odd or keeps changing is a fault in Xen.
/// Then the last reading counts: two updates are at most a second of system time apart, and a clock
/// that waits for ever would be worse.
pub fn settled<T>(version: impl Fn() -> u32, mut read: impl FnMut() -> T) -> T {
    for _ in 1..TRIES {
        let before = version();
        let value = read();
        // The value is read before the version is read again.
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && before == version() {
            return value;
        }
    }
    read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    const INFO: TimeInfo = TimeInfo {
        system_time: 1000,
        tsc_timestamp: 500,
        tsc_to_system_mul: 1 << 31,
        tsc_shift: 0,
    };

    #[test]
    fn time_never_goes_backwards() {
        let latest = Latest::new();
        let told = [5, 9, 7, 0, 9, 10].map(|time| latest.or_later(time));
        assert_eq!(told, [5, 9, 9, 9, 9, 10]);
    }

    #[test]
    fn an_alarm_that_rang_is_set_again_whatever_our_clock_says() {
        let mut alarm = Alarm::new();
        assert!(!alarm.rings_by(u64::MAX));
        alarm.set(1000);
        assert!(alarm.rings_by(1000) && alarm.rings_by(2000));
        assert!(!alarm.rings_by(999), "an earlier deadline needs an earlier alarm");
        // The event came; our clock may still read 990, short of the deadline.
        alarm.rang();
        assert!(!alarm.rings_by(1000));
    }

    #[test]
    fn counts_are_scaled_and_shifted() {
        assert_eq!(INFO.at(500), 1000);
        assert_eq!(INFO.at(700), 1100);
        assert_eq!(TimeInfo { tsc_shift: 2, ..INFO }.at(700), 1400);
        assert_eq!(TimeInfo { tsc_shift: -2, ..INFO }.at(700), 1025);
    }

    #[test]
    fn time_passes_in_a_domain_younger_than_xens_last_time_stamp() {
        let young = TimeInfo { tsc_timestamp: 0u64.wrapping_sub(500), ..INFO };
        assert_eq!([0, 100].map(|tsc| young.at(tsc)), [1250, 1300]);
    }

    #[test]
    fn no_number_of_xens_overflows() {
        assert_eq!(INFO.at(0), 1000, "a counter that lags behind");
        for tsc_shift in [i8::MIN, -64, 64, i8::MAX] {
            assert_eq!(TimeInfo { tsc_shift, ..INFO }.at(700), 1000, "{tsc_shift}");
        }
        let wild = TimeInfo { system_time: u64::MAX, tsc_to_system_mul: u32::MAX, ..INFO };
        assert_eq!(wild.at(1 << 62), u64::MAX);
        assert_eq!(INFO.at(u64::MAX), 1000, "a counter before zero");
    }

    #[test]
    fn a_reading_during_a_change_is_repeated() {
        let (version, readings) = (Cell::new(1), Cell::new(0));
        let read = || {
            readings.set(readings.get() + 1);
            // Odd at first, then one more change, then stable.
            version.set(if readings.get() == 1 { 2 } else { 4 });
            readings.get()
        };
        assert_eq!(settled(|| version.get(), read), 3);
    }

    #[test]
    fn a_version_that_never_settles_does_not_hang_the_guest() {
        let readings = Cell::new(0);
        let read = || readings.replace(readings.get() + 1);
        assert_eq!(settled(|| 7, read), TRIES - 1);
        let version = Cell::new(0);
        let last = settled(|| version.replace(version.get() + 2), || version.get());
        assert!(last > 0);
    }
}
