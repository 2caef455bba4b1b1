//! Who waits for something that a lock guards: all are woken, however many there are.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::task::Waker;

/// Who waits.
#[derive(Debug)]
pub(crate) struct Waiters(Vec<Waker>);

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
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.0.iter().any(|waiting| waiting.will_wake(waker)) {
            return;
        }
        match self.0.try_reserve(1) {
            Ok(()) => self.0.push(waker.clone()),
            // Without memory to remember it by, the waiter looks again at once.
            Err(_) => waker.wake_by_ref(),
        }
    }

    /// Wakes all.
    pub(crate) fn wake(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}
