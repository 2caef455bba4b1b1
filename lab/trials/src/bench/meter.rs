// SPDX-License-Identifier: MIT OR Apache-2.0
//! The meter: measures what a call costs, and keeps the minimum of several.

use core::cell::Cell;
use core::hint::black_box;
use core::sync::atomic::Ordering;

use drivers::memory::Platform;
use drivers::{ClaimedGrant, Error, GrantRef, Services};

use super::Tools;

/// The cheapest of several calls.
#[derive(Clone, Copy, Debug)]
pub struct Least {
    /// The number of calls.
    pub calls: u32,
    /// The cheapest call's instructions.
    pub ticks: u64,
    /// The cheapest call's hypercalls.
    pub hypercalls: u64,
    /// The cheapest call's heap allocations.
    pub allocations: u64,
    /// Between which two readings of the clock it was, counted from 1; 0 if nobody looked.
    pub window: [u32; 2],
}

impl Least {
    /// The minimum of no calls.
    pub const NONE: Self =
        Self { calls: 0, ticks: u64::MAX, hypercalls: 0, allocations: 0, window: [0; 2] };

    /// Adds another measurement.
    pub fn add(&mut self, other: Self) {
        let calls = self.calls + other.calls;
        if other.ticks < self.ticks {
            *self = other;
        }
        self.calls = calls;
    }
}

/// Counts instructions, hypercalls and allocations.
pub struct Meter<'a, X: Platform> {
    pub tools: Tools<'a, X>,
    /// The cost of reading the clock twice.
    empty: u64,
    /// How often it was read.
    readings: Cell<u32>,
}

impl<'a, X: Platform> Meter<'a, X> {
    pub fn new(tools: Tools<'a, X>) -> Self {
        let mut meter = Self { tools, empty: 0, readings: Cell::new(0) };
        let mut least = Least::NONE;
        (0..16).for_each(|_| meter.time(&mut least, || ()));
        meter.empty = least.ticks;
        meter
    }

    pub fn services(&self) -> &'a Services<X> {
        self.tools.services
    }

    /// Returns a gref of this domain's as a mapper names it.
    pub fn claim(&self, gref: GrantRef) -> ClaimedGrant {
        self.services().domid.grant(gref)
    }

    /// Measures one call.
    #[inline(never)]
    pub fn time<R>(&self, least: &mut Least, act: impl FnOnce() -> R) -> R {
        let before = spent(self.services());
        let start = (self.tools.ticks)();
        let result = act();
        least.add(self.taken(before, (self.tools.ticks)() - start));
        result
    }

    /// Measures a future, from its first poll to its end. Nothing else may be measured meanwhile.
    pub async fn span<R>(&self, least: &mut Least, act: impl Future<Output = R>) -> R {
        let before = spent(self.services());
        let start = (self.tools.ticks)();
        let result = act.await;
        least.add(self.taken(before, (self.tools.ticks)() - start));
        result
    }

    /// One call, between the last two readings of the clock.
    fn taken(&self, before: [u64; 2], ticks: u64) -> Least {
        let ([calls, allocated], read) = (spent(self.services()), self.readings.get());
        self.readings.set(read + 2);
        Least {
            calls: 1,
            window: [read + 1, read + 2],
            ticks: ticks.saturating_sub(self.empty),
            hypercalls: calls - before[0],
            allocations: allocated - before[1],
        }
    }

    /// Measures a call that is too short for the clock: a thousand calls, minus the loop.
    ///
    /// # Errors
    /// If a call fails: the first one's error.
    pub fn each(&self, mut act: impl FnMut() -> Result<(), Error>) -> Result<Least, Error> {
        const TIMES: u32 = 1000;
        let (mut whole, mut around) = (Least::NONE, Least::NONE);
        for _ in 0..super::CALLS {
            self.time(&mut around, || (0..TIMES).for_each(|i| _ = black_box(i)));
            self.time(&mut whole, || {
                (0..TIMES).try_for_each(|i| {
                    black_box(i);
                    act()
                })
            })?;
        }
        let times = u64::from(TIMES);
        Ok(Least {
            calls: whole.calls * TIMES,
            ticks: (whole.ticks - around.ticks.min(whole.ticks) + times / 2) / times,
            hypercalls: whole.hypercalls / times,
            allocations: whole.allocations / times,
            window: whole.window,
        })
    }
}

/// A domain's hypercalls and allocations so far.
pub fn spent<X: Platform>(services: &Services<X>) -> [u64; 2] {
    let counters = services.system.counters();
    [counters.hypercalls(), counters.allocations.load(Ordering::Relaxed)]
}
