// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lets Xen, a daemon or another domain act between two of a guest's accesses to memory that they
//! share, at moments that a test chooses.
//!
//! There is a moment right before and right after each access to a word that Xen, a daemon or a
//! peer also writes, each copy to or from shared bytes, and each hypercall.
#![expect(unsafe_code, reason = "a borrow is kept for as long as a call lasts")]

use core::cell::RefCell;
use core::ptr::{self, NonNull};
use std::vec::Vec;

use super::FakeXen;
use super::domain::DomainPages;

/// One call of [`FakeXen::interleave`].
struct Watch {
    whose: *const DomainPages,
    moments: u64,
    /// `None` while it acts: its own accesses are no moments.
    other: Option<NonNull<dyn FnMut(u64)>>,
}

std::thread_local! {
    static WATCHES: RefCell<Vec<Watch>> = const { RefCell::new(Vec::new()) };
}

impl FakeXen {
    /// Runs `run`, and calls `other` at each of this domain's moments meanwhile, with the moment's
    /// number, from 0. `other` may do what Xen, a daemon or another domain would do just then.
    pub fn interleave<R>(&self, mut other: impl FnMut(u64), run: impl FnOnce() -> R) -> R {
        /// Removes the watch, however the call ends.
        struct Forget;
        impl Drop for Forget {
            fn drop(&mut self) {
                WATCHES.with_borrow_mut(Vec::pop);
            }
        }
        let other: NonNull<dyn FnMut(u64) + '_> = NonNull::from(&mut other);
        // SAFETY: only the lifetime changes. The watch is removed when this call ends, and `other`
        // lives longer.
        let other = unsafe {
            core::mem::transmute::<NonNull<dyn FnMut(u64) + '_>, NonNull<dyn FnMut(u64)>>(other)
        };
        let whose = ptr::from_ref(&*self.pages);
        WATCHES.with_borrow_mut(|all| all.push(Watch { whose, moments: 0, other: Some(other) }));
        let _forget = Forget;
        run()
    }

    /// Marks a moment. FakeXen must hold no lock.
    pub(super) fn moment(&self) {
        let due = WATCHES.with_borrow_mut(|all| {
            let at = all.iter().rposition(|one| ptr::eq(one.whose, &*self.pages))?;
            let watch = &mut all[at];
            let other = watch.other.take()?;
            watch.moments += 1;
            Some((at, other, watch.moments - 1))
        });
        if let Some((at, mut other, moment)) = due {
            // SAFETY: it is alive, since its watch still exists, and it was taken out, so nobody
            // else has it.
            let act = unsafe { other.as_mut() };
            act(moment);
            WATCHES.with_borrow_mut(|all| all[at].other = Some(other));
        }
    }
}

/// When the other side acts in one run of a scenario.
#[derive(Debug)]
pub struct Steps {
    at: [Option<u64>; 2],
    /// The number of moments in the run.
    seen: core::cell::Cell<u64>,
}

impl Steps {
    /// Runs `run`, and calls `act` at those of `guest`'s moments that this run chose.
    pub fn run<R>(&self, guest: &FakeXen, mut act: impl FnMut(), run: impl FnOnce() -> R) -> R {
        let other = |moment| {
            self.seen.set(moment + 1);
            if self.at.contains(&Some(moment)) {
                act();
            }
        };
        guest.interleave(other, run)
    }
}

/// The most accesses for which every pair of moments is tried.
const FEW: u64 = 40;

/// Runs a scenario undisturbed, then once for each of its moments with the other side acting just
/// then, and once for each pair of moments if it has at most 40 accesses.
///
/// The scenario calls [`Steps::run`] to say whose moments count and how the other side acts, and
/// asserts what must hold. Returns the number of moments.
///
/// # Panics
/// If the scenario has no moments, or panics itself; then it also prints at which moments the other
/// side acted.
pub fn explore(mut scenario: impl FnMut(&Steps)) -> u64 {
    let mut run = |first, second| {
        let steps = Steps { at: [first, second], seen: core::cell::Cell::new(0) };
        let context = Context(first, second);
        scenario(&steps);
        core::mem::forget(context);
        steps.seen.get()
    };
    let mut moments = run(None, None);
    assert!(moments > 0, "the scenario has no moments");
    let mut first = 0;
    // The other side's act may cause more accesses.
    while first < moments {
        moments = moments.max(run(Some(first), None));
        first += 1;
    }
    if moments <= 2 * FEW {
        for first in 0..moments {
            for second in first + 1..moments {
                run(Some(first), Some(second));
            }
        }
    }
    moments
}

/// Prints which run panicked.
struct Context(Option<u64>, Option<u64>);

impl Drop for Context {
    fn drop(&mut self) {
        std::eprintln!("the other side acted at {:?} and {:?}", self.0, self.1);
    }
}
