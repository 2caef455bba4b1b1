// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that somebody else (Xen, a daemon or a peer) may also write at any moment.
//!
//! A protocol on such words is a function over [`Word`], so that the same code runs on shared pages
//! ([`Watched`]) and under a memory-order checker. On shared pages the platform is notified before
//! and after each access: in a real guest that does nothing; under FakeXen the other side may act
//! at that moment.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::memory::{Memory, Moment};

#[cfg(test)]
pub(crate) mod checked;

/// A word of memory that others may also write.
pub(crate) trait Word {
    /// The type of its value.
    type Value: Copy;

    fn load(&self, order: Ordering) -> Self::Value;
    fn store(&self, value: Self::Value, order: Ordering);
    fn swap(&self, value: Self::Value, order: Ordering) -> Self::Value;
    fn fetch_and(&self, value: Self::Value, order: Ordering) -> Self::Value;
    fn fetch_or(&self, value: Self::Value, order: Ordering) -> Self::Value;
    fn compare_exchange(
        &self,
        current: Self::Value,
        new: Self::Value,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self::Value, Self::Value>;
}

/// A word in a page that Xen, a daemon or a peer shares with this domain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a, X, A> {
    xen: &'a X,
    word: &'a A,
}

impl<'a, X: Memory, A> Watched<'a, X, A> {
    /// Wraps `word`, notifying `xen` of each access.
    pub(crate) fn new(xen: &'a X, word: &'a A) -> Self {
        Self { xen, word }
    }

    fn access<R>(&self, access: impl FnOnce(&A) -> R) -> R {
        self.xen.observe(Moment::Before);
        let result = access(self.word);
        self.xen.observe(Moment::After);
        result
    }
}

macro_rules! words {
    ($($atomic:ty: $value:ty),*) => {$(
        impl<X: Memory> Word for Watched<'_, X, $atomic> {
            type Value = $value;

            fn load(&self, order: Ordering) -> $value {
                self.access(|word| word.load(order))
            }

            fn store(&self, value: $value, order: Ordering) {
                self.access(|word| word.store(value, order));
            }

            fn swap(&self, value: $value, order: Ordering) -> $value {
                self.access(|word| word.swap(value, order))
            }

            fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                self.access(|word| word.fetch_and(value, order))
            }

            fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                self.access(|word| word.fetch_or(value, order))
            }

            fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.access(|word| word.compare_exchange(current, new, success, failure))
            }
        }
    )*};
}

words!(AtomicU8: u8, AtomicU16: u16, AtomicU32: u32, AtomicU64: u64);

/// Puts bytes into a ring with free-running indices, starting at index `at`; publishes and returns
/// the index after the last one. `place` maps an index to its byte in the ring.
pub(crate) fn produce<B: Word<Value = u8>>(
    bytes: impl Iterator<Item = u8>,
    mut at: u32,
    place: impl Fn(u32) -> B,
    index: &impl Word<Value = u32>,
) -> u32 {
    for byte in bytes {
        place(at).store(byte, Ordering::Relaxed);
        at = at.wrapping_add(1);
    }
    // The bytes must be visible before the index that announces them.
    index.store(at, Ordering::Release);
    at
}

/// Takes `count` bytes out of such a ring; publishes and returns the index after the last one.
pub(crate) fn consume<B: Word<Value = u8>>(
    count: usize,
    mut at: u32,
    place: impl Fn(u32) -> B,
    index: &impl Word<Value = u32>,
    mut take: impl FnMut(u8),
) -> u32 {
    for _ in 0..count {
        take(place(at).load(Ordering::Relaxed));
        at = at.wrapping_add(1);
    }
    // The bytes must be read before their room is given back.
    index.store(at, Ordering::Release);
    at
}
