// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timers for tasks: the time driver of embassy-time.
//!
//! One tick is one nanosecond of system time. The queue takes any waker, not only those of
//! embassy's executor, and has room for 64. A timer that finds it full is woken early, and asks
//! again. Xen's one-shot timer is set to the earliest deadline.
#![expect(unsafe_code, reason = "the macros define symbols that other crates link to")]

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

use super::clock;
use crate::time::Alarm;

/// Whether Xen refused the last alarm.
static REFUSED: AtomicBool = AtomicBool::new(false);

struct Timers(Mutex<RefCell<Schedule>>);

struct Schedule {
    queue: Queue,
    alarm: Alarm,
}

time_driver_impl!(static TIMERS: Timers = Timers(Mutex::new(RefCell::new(Schedule {
    queue: Queue::new(),
    alarm: Alarm::new(),
}))));

impl Driver for Timers {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let Ok(mut schedule) = self.0.borrow(cs).try_borrow_mut() else {
                // Called from a waker that is being woken here: its task will ask again.
                return waker.wake_by_ref();
            };
            if schedule.queue.schedule_wake(at, waker) {
                schedule.wake_and_set_alarm();
            }
        });
    }
}

/// Wakes the tasks whose deadline has passed. `rang`: VIRQ_TIMER has fired since the last call.
/// Until then no deadline has passed, unless Xen refused the alarm, so the clock is not read.
pub fn expire(rang: bool) {
    if !rang && may_sleep() {
        return;
    }
    critical_section::with(|cs| {
        if let Ok(mut schedule) = TIMERS.0.borrow(cs).try_borrow_mut() {
            schedule.alarm.rang();
            schedule.wake_and_set_alarm();
        }
    });
}

/// Whether Xen's timer is set for the next deadline. If Xen refused it, for which there is no known
/// reason, a sleep would last too long.
pub fn may_sleep() -> bool {
    !REFUSED.load(Ordering::Relaxed)
}

impl Schedule {
    /// Wakes what is due, and sets Xen's timer for what is due next. An alarm set for earlier
    /// stays: a spurious wake-up costs less than a hypercall for each timeout that is postponed.
    fn wake_and_set_alarm(&mut self) {
        let next = self.queue.next_expiration(clock::now());
        if next != u64::MAX && !self.alarm.rings_by(next) {
            let refused = clock::set_alarm(next).is_err();
            if refused {
                self.alarm.rang();
            } else {
                self.alarm.set(next);
            }
            REFUSED.store(refused, Ordering::Relaxed);
        }
    }
}

struct UpcallMask;
critical_section::set_impl!(UpcallMask);

// SAFETY: there is one vCPU, and only upcalls could interrupt it. They are masked while any code
// runs, and the handler wakes nobody, so there is nothing to do.
unsafe impl critical_section::Impl for UpcallMask {
    unsafe fn acquire() -> bool {
        true
    }

    unsafe fn release(_was_masked: bool) {}
}
