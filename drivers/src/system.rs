// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of Xen that an application gets: what is harmless in anybody's hands.

use core::future::Future;
use core::time::Duration;

use crate::Counters;
use crate::memory::{FrameCount, Platform};

/// The clock, the counters, and the amount of memory. Clones refer to the same system.
#[derive(Clone, Debug)]
pub struct System<X>(pub(crate) X);

impl<X: Platform> System<X> {
    /// Returns Xen's system time: nanoseconds since the host booted.
    pub fn now(&self) -> u64 {
        self.0.now()
    }

    /// Completes when [`System::now`] has reached `deadline` nanoseconds.
    pub fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        self.0.sleep_until(deadline)
    }

    /// Completes after `time`; more than 584 years counts as forever.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sleep_until(self.now().saturating_add(time))
    }

    /// Returns the counts of what this guest has done so far.
    pub fn counters(&self) -> &Counters {
        self.0.counters()
    }

    /// Lets another domain run, for bounded waits in code that can't `await`.
    pub fn yield_cpu(&self) {
        self.0.yield_cpu();
    }

    /// Whether Xen translates this guest's frame numbers: true for PVH, false for PV. Such a guest
    /// can't map its own pages.
    pub fn is_translated(&self) -> bool {
        self.0.is_translated()
    }

    /// Returns the state of the frame allocator.
    pub fn frames(&self) -> FrameCount {
        self.0.frames()
    }
}
