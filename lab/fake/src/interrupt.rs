// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lets another domain act in the middle of a call, at a moment that a test chooses.

use core::fmt;
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};

/// A function to run, and the count of grant-table accesses to run it at.
#[derive(Default)]
pub(super) struct Interrupt(Mutex<Option<(u64, Happening)>>);

type Happening = Box<dyn FnOnce() + Send>;

impl Interrupt {
    pub(super) fn set(&self, at: u64, run: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Box::new(run)));
    }

    pub(super) fn run_at(&self, now: u64) {
        let due = {
            let set = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            set.take_if(|(at, _)| *at == now)
        };
        if let Some((_, run)) = due {
            run();
        }
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interrupt")
    }
}
