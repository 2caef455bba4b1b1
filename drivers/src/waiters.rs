// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who waits for something: all are woken, however many there are, and none of it under a lock.
//!
//! A waker is somebody else's code: cloned, woken or dropped, it may call whatever it likes, also
//! what it was registered with. So wakers are cloned before a lock is taken, taken out of what it
//! guards before they are woken, and dropped after it was given back.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::task::Waker;

use spin::Mutex;

/// Who waits, for an owner who guards it by a lock.
#[derive(Debug)]
pub(crate) struct Waiters(Vec<Waker>);

/// A waker that was not kept. It's for where no lock is held: dropping it runs its code.
#[must_use = "dropped under a lock, its code would run there"]
pub(crate) enum Unkept {
    /// There is none.
    Nothing,
    /// It was there already.
    Known(#[expect(dead_code, reason = "kept to be dropped")] Waker),
    /// There was no memory to remember it by.
    NoRoom(Waker),
}

impl Waiters {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Room for so many, who then cost no allocation.
    ///
    /// # Errors
    /// Without memory.
    pub(crate) fn make_room(&mut self, waiters: usize) -> Result<(), TryReserveError> {
        self.0.try_reserve(waiters)
    }

    /// One more, unless it's there already.
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

    /// Takes all out, to be woken or dropped where no lock is held. Nobody takes nothing: the room
    /// stays.
    pub(crate) fn take(&mut self) -> Self {
        if self.0.is_empty() { Self::new() } else { Self(core::mem::take(&mut self.0)) }
    }

    /// Wakes all who were taken out.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }

    /// Gives back the room of those who were taken out and woken, so that the next who waits costs
    /// no allocation. Who has registered meanwhile stays.
    pub(crate) fn put_back(&mut self, room: Self) {
        if self.0.is_empty() && self.0.capacity() < room.0.capacity() {
            *self = room;
        }
    }
}

impl Unkept {
    /// Without memory to remember it by, the waiter looks again at once.
    pub(crate) fn settle(self) {
        if let Self::NoRoom(waker) = self {
            waker.wake();
        }
    }
}

/// Who waits, with a lock of its own. Whoever waits registers first and looks then, so that what
/// changes after the look is heard of.
#[derive(Debug)]
pub(crate) struct WaitList(Mutex<Waiters>);

impl WaitList {
    /// Nobody.
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Waiters::new()))
    }

    /// One more, unless it's there already.
    pub(crate) fn register(&self, waker: &Waker) {
        let waker = waker.clone();
        let unkept = self.0.lock().register(waker);
        unkept.settle();
    }

    /// Wakes all.
    pub(crate) fn wake(&self) {
        let mut waiters = self.0.lock().take();
        waiters.wake();
        self.0.lock().put_back(waiters);
    }
}
