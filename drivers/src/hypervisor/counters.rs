// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exact counts of what the guest did: the figures behind every performance claim.
//!
//! They are relaxed atomics, so counting costs one instruction and needs no lock. A count is a
//! number of calls or bytes since boot. It is never reset: subtract two readings.

use core::sync::atomic::{AtomicU64, Ordering};

use super::Call;

/// One guest's counts.
#[derive(Debug)]
pub struct Counters {
    calls: [AtomicU64; Call::ALL.len()],
    /// Events taken from the pending words.
    pub events_in: AtomicU64,
    /// Bytes zeroed, because a page was released or not known to be clean.
    pub zeroed: AtomicU64,
    /// Bytes copied to and from shared pages.
    pub copied: AtomicU64,
    /// Heap allocations.
    pub allocations: AtomicU64,
}

impl Counters {
    /// Returns counts that are all zero.
    pub const fn new() -> Self {
        Self {
            calls: [const { AtomicU64::new(0) }; Call::ALL.len()],
            events_in: AtomicU64::new(0),
            zeroed: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            allocations: AtomicU64::new(0),
        }
    }

    /// Counts one hypercall.
    pub fn count(&self, call: Call) {
        self.calls[call as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how often `call` was made.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize].load(Ordering::Relaxed)
    }

    /// Returns the number of all hypercalls.
    pub fn hypercalls(&self) -> u64 {
        self.calls.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// Adds `n` to one of the public fields.
    pub fn add(count: &AtomicU64, n: u64) {
        count.fetch_add(n, Ordering::Relaxed);
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}
