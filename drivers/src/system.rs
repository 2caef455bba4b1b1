// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application gets of Xen: what does no harm in any hands.

use core::future::Future;
use core::time::Duration;

use crate::Counters;
use crate::memory::{FrameCount, Platform};

/// The clock, the counters, and how much memory there is. Clones are the same.
#[derive(Clone, Debug)]
pub struct System<X>(pub(crate) X);

impl<X: Platform> System<X> {
    /// Xen's system time: nanoseconds since the host booted.
    pub fn now(&self) -> u64 {
        self.0.now()
    }

    /// Completes when [`System::now`] has reached `deadline` nanoseconds.
    pub fn sleep_until(&self, deadline: u64) -> impl Future<Output = ()> {
        self.0.sleep_until(deadline)
    }

    /// Completes after `time`; one of more than 584 years counts as for ever.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sleep_until(self.now().saturating_add(time))
    }

    /// What this guest has done so far.
    pub fn counters(&self) -> &Counters {
        self.0.counters()
    }

    /// Lets another domain run, for the bounded waits of code that can't await.
    pub fn yield_cpu(&self) {
        self.0.yield_cpu();
    }

    /// Whether Xen translates this guest's frame numbers: PVH, and not PV. Such a guest can't map
    /// pages of its own.
    pub fn is_translated(&self) -> bool {
        self.0.is_translated()
    }

    /// The state of the frame allocator.
    pub fn frames(&self) -> FrameCount {
        self.0.frames()
    }
}
