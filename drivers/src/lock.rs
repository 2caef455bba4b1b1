// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock of shared state: `spin`'s, except that its loop isn't inlined wherever it is taken.

use core::ops::{Deref, DerefMut};

use spin::MutexGuard;

/// A spin lock.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(spin::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps a value.
    pub(crate) const fn new(value: T) -> Self {
        Self(spin::Mutex::new(value))
    }

    /// Waits for the lock, and holds it until the guard is dropped.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }
}

impl<T> Deref for Mutex<T> {
    type Target = spin::Mutex<T>;

    fn deref(&self) -> &spin::Mutex<T> {
        &self.0
    }
}

impl<T> DerefMut for Mutex<T> {
    fn deref_mut(&mut self) -> &mut spin::Mutex<T> {
        &mut self.0
    }
}
