// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words for the checkers: loom, which tries every interleaving that the memory orders allow, and
//! Miri, which tries one per seed.
//!
//! loom treats a SeqCst access as AcqRel but models SeqCst fences, so here each such access stands
//! between two fences. loom's atomics don't fit the ABI's layout, so it can't run on shared pages.
#![expect(unsafe_code, reason = "a byte without an order, whose races are found")]

use core::sync::atomic::Ordering;

use self::rt::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, UnsafeCell, fence};
use super::{Word, consume, produce};

/// loom's threads and atomics.
#[cfg(not(miri))]
pub(crate) mod rt {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::sync::Arc;
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence};
    pub(crate) use loom::thread;

    /// Runs `scenario` in every order, with at most `preemptions` preemptions.
    pub(crate) fn check(preemptions: Option<usize>, scenario: impl Fn() + Sync + Send + 'static) {
        let mut checker = loom::model::Builder::new();
        checker.preemption_bound = preemptions;
        checker.check(scenario);
    }
}

/// The real ones. A scenario runs once, in the order that Miri's seed selects.
#[cfg(miri)]
pub(crate) mod rt {
    extern crate std;

    pub(crate) use alloc::sync::Arc;
    pub(crate) use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence};
    pub(crate) use std::thread;

    pub(crate) fn check(_: Option<usize>, scenario: impl Fn() + Sync + Send + 'static) {
        scenario();
    }

    pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(core::cell::UnsafeCell::new(value))
        }

        pub(crate) fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
            look(self.0.get())
        }

        pub(crate) fn with_mut<R>(&self, look: impl FnOnce(*mut T) -> R) -> R {
            look(self.0.get())
        }
    }
}

fn ordered<R>(order: Ordering, access: impl FnOnce() -> R) -> R {
    let whole = order == Ordering::SeqCst && cfg!(not(miri));
    if whole {
        fence(Ordering::SeqCst);
    }
    let result = access();
    if whole {
        fence(Ordering::SeqCst);
    }
    result
}

/// A word whose accesses use the orders that the protocol specifies.
pub(crate) struct Checked<A>(pub(crate) A);

/// The same with every access relaxed: a protocol that still holds either needs no ordering or
/// isn't tested. Only for loom, since a single Miri seed may find nothing.
#[cfg_attr(miri, expect(dead_code, reason = "for loom"))]
pub(crate) struct Relaxed<A>(pub(crate) A);

macro_rules! words {
    ($($word:ident($atomic:ty): $value:ty, $order:ident => $as:expr;)*) => {$(
        impl Word for $word<$atomic> {
            type Value = $value;

            fn load(&self, $order: Ordering) -> $value {
                ordered($as, || self.0.load($as))
            }

            fn store(&self, value: $value, $order: Ordering) {
                ordered($as, || self.0.store(value, $as));
            }

            fn swap(&self, value: $value, $order: Ordering) -> $value {
                ordered($as, || self.0.swap(value, $as))
            }

            fn fetch_and(&self, value: $value, $order: Ordering) -> $value {
                ordered($as, || self.0.fetch_and(value, $as))
            }

            fn fetch_or(&self, value: $value, $order: Ordering) -> $value {
                ordered($as, || self.0.fetch_or(value, $as))
            }

            fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                $order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                let _ = failure;
                ordered($as, || self.0.compare_exchange(current, new, $as, Ordering::Relaxed))
            }
        }
    )*};
}

words!(
    Checked(AtomicU8): u8, order => order;
    Checked(AtomicU16): u16, order => order;
    Checked(AtomicU32): u32, order => order;
    Checked(AtomicU64): u64, order => order;
    Relaxed(AtomicU8): u8, _order => Ordering::Relaxed;
    Relaxed(AtomicU16): u16, _order => Ordering::Relaxed;
    Relaxed(AtomicU32): u32, _order => Ordering::Relaxed;
    Relaxed(AtomicU64): u64, _order => Ordering::Relaxed;
);

/// A byte without an ordering of its own: an unordered pair of accesses is reported.
pub(crate) struct Byte(UnsafeCell<u8>);

// SAFETY: loom runs one thread at a time, and both checkers panic on a race.
unsafe impl Sync for Byte {}
// SAFETY: it holds a number.
unsafe impl Send for Byte {}

impl Byte {
    pub(crate) fn new(value: u8) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) fn get(&self) -> u8 {
        // SAFETY: a race would be found first.
        self.0.with(|byte| unsafe { *byte })
    }

    pub(crate) fn set(&self, value: u8) {
        // SAFETY: a race would be found first.
        self.0.with_mut(|byte| unsafe { *byte = value });
    }
}

/// The operations that a daemon's ring needs.
impl Word for &Byte {
    type Value = u8;

    fn load(&self, _: Ordering) -> u8 {
        self.get()
    }

    fn store(&self, value: u8, _: Ordering) {
        self.set(value);
    }

    fn swap(&self, _: u8, _: Ordering) -> u8 {
        unreachable!("bytes of a ring are read and written")
    }

    fn fetch_and(&self, _: u8, _: Ordering) -> u8 {
        unreachable!("bytes of a ring are read and written")
    }

    fn fetch_or(&self, _: u8, _: Ordering) -> u8 {
        unreachable!("bytes of a ring are read and written")
    }

    fn compare_exchange(&self, _: u8, _: u8, _: Ordering, _: Ordering) -> Result<u8, u8> {
        unreachable!("bytes of a ring are read and written")
    }
}

/// A daemon's ring of two bytes, with our index and the daemon's.
struct DaemonsRing<I> {
    bytes: [Byte; 2],
    ours: I,
    theirs: AtomicU32,
}

/// We put three bytes into the ring as room allows; the daemon takes them.
fn producing<I: Word<Value = u32> + Send + Sync + 'static>(index: fn(AtomicU32) -> I) {
    rt::check(None, move || {
        let bytes = [Byte::new(0), Byte::new(0)];
        let ours = index(AtomicU32::new(0));
        let ring = DaemonsRing { bytes, ours, theirs: AtomicU32::new(0) };
        let ring = rt::Arc::new(ring);
        let theirs = ring.clone();
        let daemon = rt::thread::spawn(move || {
            let prod = theirs.ours.load(Ordering::Acquire);
            for at in 0..prod {
                assert_eq!(theirs.bytes[at as usize % 2].get(), at as u8 + 1);
            }
            theirs.theirs.store(prod, Ordering::Release);
        });
        let mut prod = 0;
        for _ in 0..2 {
            let cons = ring.theirs.load(Ordering::Acquire);
            let bytes = (prod as u8 + 1..4).take((2 - (prod - cons)) as usize);
            prod = produce(bytes, prod, |at| &ring.bytes[at as usize % 2], &ring.ours);
        }
        daemon.join().unwrap();
    });
}

#[test]
fn a_daemon_that_sees_the_index_sees_the_bytes() {
    producing(Checked);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "Causality violation"]
fn without_ordering_the_index_announces_missing_bytes() {
    producing(Relaxed);
}

/// We take two bytes; the daemon overwrites them once there is room.
fn consuming<I: Word<Value = u32> + Send + Sync + 'static>(index: fn(AtomicU32) -> I) {
    rt::check(None, move || {
        let bytes = [Byte::new(1), Byte::new(2)];
        let ours = index(AtomicU32::new(0));
        let ring = DaemonsRing { bytes, ours, theirs: AtomicU32::new(2) };
        let ring = rt::Arc::new(ring);
        let theirs = ring.clone();
        let daemon = rt::thread::spawn(move || {
            let cons = theirs.ours.load(Ordering::Acquire);
            for at in 2..cons + 2 {
                theirs.bytes[at as usize % 2].set(at as u8 + 1);
            }
            theirs.theirs.store(cons + 2, Ordering::Release);
        });
        let mut cons = 0;
        for _ in 0..2 {
            let ready = ring.theirs.load(Ordering::Acquire) - cons;
            let mut expected = cons as u8;
            cons = consume(
                ready as usize,
                cons,
                |at| &ring.bytes[at as usize % 2],
                &ring.ours,
                |byte| {
                    expected += 1;
                    assert_eq!(byte, expected);
                },
            );
        }
        daemon.join().unwrap();
    });
}

#[test]
fn a_daemon_that_sees_room_overwrites_nothing_unread() {
    consuming(Checked);
}

#[test]
#[cfg(not(miri))]
#[should_panic = "Causality violation"]
fn without_ordering_the_index_frees_room_still_being_read() {
    consuming(Relaxed);
}
