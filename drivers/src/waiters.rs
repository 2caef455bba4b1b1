// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of waiters: all of them are woken, however many there are, and never under a lock.
//!
//! A waker is somebody else's code: when cloned, woken or dropped, it may call anything, including
//! the object it is registered with. So wakers are cloned before the lock is taken, moved out of
//! the locked list before they are woken, and dropped after the lock is released.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::task::Waker;

use spin::Mutex;

/// A list of waiters, to be guarded by its owner's lock.
#[derive(Debug)]
pub(crate) struct Waiters(Vec<Waker>);

/// A waker that was not kept. Drop it only where no lock is held, since that runs its code.
#[must_use = "dropped under a lock, its code would run there"]
pub(crate) enum Unkept {
    /// None: the waker was kept.
    Nothing,
    /// The list already has it.
    Known(#[expect(dead_code, reason = "kept to be dropped")] Waker),
    /// There was no memory to keep it.
    NoRoom(Waker),
}

impl Waiters {
    /// Returns an empty list.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes room for `waiters`, which can then register without an allocation.
    ///
    /// # Errors
    /// If memory runs out.
    pub(crate) fn make_room(&mut self, waiters: usize) -> Result<(), TryReserveError> {
        self.0.try_reserve(waiters)
    }

    /// Adds a waker, unless the list has it already.
    pub(crate) fn register(&mut self, waker: Waker) -> Unkept {
        if self.0.iter().any(|waiting| waiting.will_wake(&waker)) {
            return Unkept::Known(waker);
        }
        if self.0.try_reserve(1).is_err() {
            return Unkept::NoRoom(waker);
        }
        self.0.push(waker);
        Unkept::Nothing
    }

    /// Takes all waiters out, to be woken or dropped where no lock is held. An empty list keeps its
    /// room.
    pub(crate) fn take(&mut self) -> Self {
        if self.0.is_empty() { Self::new() } else { Self(core::mem::take(&mut self.0)) }
    }

    /// Wakes all waiters that were taken out.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    /// Returns the room of the waiters that were taken out and woken, so that the next one needs no
    /// allocation. Waiters that have registered meanwhile stay.
    pub(crate) fn put_back(&mut self, room: Self) {
        if self.0.is_empty() && self.0.capacity() < room.0.capacity() {
            *self = room;
        }
    }
}

impl Unkept {
    /// If there was no memory to keep the waker, wakes it so that the waiter looks again at once.
    pub(crate) fn settle(self) {
        if let Self::NoRoom(waker) = self {
            waker.wake();
        }
    }
}

/// A list of waiters with its own lock. A waiter registers first and looks then, so that it doesn't
/// miss a change after the look.
#[derive(Debug)]
pub(crate) struct WaitList(Mutex<Waiters>);

impl WaitList {
    /// Returns an empty list.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Waiters::new()))
    }

    /// Adds a waker, unless the list has it already.
    pub(crate) fn register(&self, waker: &Waker) {
        let waker = waker.clone();
        let unkept = self.0.lock().register(waker);
        unkept.settle();
    }

    /// Wakes all waiters.
    pub(crate) fn wake(&self) {
        let mut waiters = self.0.lock().take();
        waiters.wake();
        self.0.lock().put_back(waiters);
    }
}
