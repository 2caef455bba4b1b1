// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of waiters: all of them are woken, however many there are, and never under a lock.
//!
//! A waker is somebody else's code: when cloned, woken or dropped, it may call anything, including
//! the object it is registered with. So wakers are cloned before the lock is taken, moved out of
//! the locked list before they are woken, and dropped after the lock is released.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::task::Waker;

use crate::lock::Mutex;

/// A list of waiters, to be guarded by its owner's lock. Usually there is one.
#[derive(Debug)]
pub(crate) struct Waiters {
    /// One waiter, held in place; `None` only if there is no other.
    first: Option<Waker>,
    more: Vec<Waker>,
}

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
    /// Returns an empty list, with room for one waiter.
    pub(crate) const fn new() -> Self {
        Self { first: None, more: Vec::new() }
    }

    /// Makes room for `waiters` besides the first, which can then register without an allocation.
    ///
    /// # Errors
    /// If memory runs out.
    pub(crate) fn make_room(&mut self, waiters: usize) -> Result<(), TryReserveError> {
        self.more.try_reserve(waiters)
    }

    /// Adds a waker, unless the list has it already.
    pub(crate) fn register(&mut self, waker: Waker) -> Unkept {
        let Some(first) = &self.first else {
            self.first = Some(waker);
            return Unkept::Nothing;
        };
        if first.will_wake(&waker) || self.more.iter().any(|waiting| waiting.will_wake(&waker)) {
            return Unkept::Known(waker);
        }
        if self.more.try_reserve(1).is_err() {
            return Unkept::NoRoom(waker);
        }
        self.more.push(waker);
        Unkept::Nothing
    }

    /// Takes all waiters out, to be woken or dropped where no lock is held. The room of one is
    /// left, as is that of an empty list.
    pub(crate) fn take(&mut self) -> Self {
        let more = if self.more.is_empty() { Vec::new() } else { core::mem::take(&mut self.more) };
        Self { first: self.first.take(), more }
    }

    /// Wakes all waiters that were taken out. Returns the room to put back, if there is any.
    pub(crate) fn wake(self) -> Option<Vec<Waker>> {
        if let Some(first) = self.first {
            first.wake();
        }
        let mut more = self.more;
        if more.capacity() == 0 {
            return None;
        }
        more.drain(..).for_each(Waker::wake);
        Some(more)
    }

    /// Returns the room of the waiters that were taken out and woken, so that the next ones need no
    /// allocation. Waiters that have registered meanwhile stay.
    pub(crate) fn put_back(&mut self, room: Vec<Waker>) {
        if self.more.is_empty() && self.more.capacity() < room.capacity() {
            self.more = room;
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
        let waiters = self.0.lock().take();
        if let Some(room) = waiters.wake() {
            self.0.lock().put_back(room);
        }
    }
}
