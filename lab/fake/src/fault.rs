// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that a test asks for: any status at any position of a batch, the hypercall's own, memory
//! that is short, and a peer who acts in the middle of a call.

use core::sync::atomic::Ordering;
use std::vec::Vec;

use xen_sys::grant_table::GrantStatus;

use super::FakeXen;
use drivers::{Call, Errno, GrantRef};

/// Something that goes wrong in one hypercall: see [`crate::FakeXen::inject`].
///
/// A call that takes one operation and not a batch has entry 0 alone. Several faults may meet in
/// one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The hypercall fails when it comes to entry `at`; entries before it are carried out.
    Hypercall {
        /// The entry's position, from 0.
        at: usize,
        /// What the hypercall returns.
        errno: Errno,
    },
    /// Entry `at` is not carried out and gets this status.
    Status {
        /// The entry's position, from 0.
        at: usize,
        /// What Xen writes there.
        status: GrantStatus,
    },
    /// Entry `at` is neither carried out nor written to (XSA-318).
    Untouched {
        /// The entry's position, from 0.
        at: usize,
    },
}

impl FakeXen {
    /// Makes `fault` happen at this domain's next `call`. Asked for several times, all of it
    /// happens at that call.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.inject_after(0, call, fault);
    }

    /// The same at the `call` after the next: what a service does about the first fault.
    pub fn inject_later(&self, call: Call, fault: Fault) {
        self.inject_after(1, call, fault);
    }

    /// The same at the `call` that comes after so many others of its kind.
    pub fn inject_after(&self, calls: u32, call: Call, fault: Fault) {
        self.of(&mut self.world.lock()).faults.plan(calls, call, fault);
    }

    /// Makes every `call` fail with `errno`, until that is lifted with `None`: a Xen that lacks the
    /// operation, or refuses it for a while.
    pub fn deny(&self, call: Call, errno: Option<Errno>) {
        self.of(&mut self.world.lock()).faults.deny(call, errno);
    }

    /// Makes one allocation of a page fail, the one after `successes` more; or a page table's, if
    /// it comes first.
    pub fn fail_page_after(&self, successes: u32) {
        self.of(&mut self.world.lock()).pages_until_failure = Some(successes);
    }

    /// Makes the mapping of frame `number` of its grant table fail with `errno`, the next time that
    /// it comes to that: no frame for a page table, or Xen's refusal. Frames before it are mapped
    /// then, and nobody knows.
    pub fn refuse_grant_frame(&self, number: u32, errno: Errno) {
        self.of(&mut self.world.lock()).grant_frame_refused = Some((number, errno));
    }

    /// Pages out what a reference of this domain grants: who maps it or copies from it is answered
    /// eagain that often, and then finds it back.
    pub fn page_out(&self, gref: GrantRef, answers: u32) {
        let state = &mut *self.world.lock();
        let domain = self.of(state);
        let gfn = domain.pages.entry(gref.0).frame.load(Ordering::SeqCst);
        domain.paged_out.insert(gfn.into(), answers);
    }

    /// The domain is saved and restored: its page tables lie elsewhere in the machine.
    ///
    /// # Panics
    /// If it maps anything, which Xen would not restore.
    pub fn restore(&self) {
        let state = &mut *self.world.lock();
        let domain = state.domain(self.domid);
        assert!(domain.maptrack.iter().all(Option::is_none), "what is mapped is not restored");
        domain.restores += 1;
    }

    /// Runs `run` when this domain looks at its grant table for the `looks`th time from now: what a
    /// peer does just then, between a look at an entry and its end.
    pub fn interrupt(&self, looks: u64, run: impl FnOnce() + Send + 'static) {
        self.pages.interrupts.set(self.entry_looks() + looks, run);
    }
}

/// The faults of a domain that are still to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Each with the number of calls of its kind that go before.
    planned: Vec<(u32, Call, Fault)>,
    /// Calls that fail whenever they are made.
    denied: Vec<(Call, Errno)>,
}

impl Faults {
    pub(super) fn plan(&mut self, calls: u32, call: Call, fault: Fault) {
        self.planned.push((calls, call, fault));
    }

    pub(super) fn deny(&mut self, call: Call, errno: Option<Errno>) {
        self.denied.retain(|(denied, _)| *denied != call);
        self.denied.extend(errno.map(|errno| (call, errno)));
    }

    /// All faults for this call, which are spent.
    pub(super) fn take(&mut self, call: Call) -> CallFaults {
        let mut now = Vec::new();
        self.planned.retain_mut(|(calls, kind, fault)| {
            if *kind != call {
                return true;
            }
            let due = *calls == 0;
            if due {
                now.push(*fault);
            } else {
                *calls -= 1;
            }
            !due
        });
        let denied = self.denied.iter().filter(|(kind, _)| *kind == call);
        now.extend(denied.map(|(_, errno)| Fault::Hypercall { at: 0, errno: *errno }));
        CallFaults(now)
    }
}

/// The faults of one call.
#[derive(Debug)]
pub(super) struct CallFaults(Vec<Fault>);

impl CallFaults {
    fn at(&self, position: usize) -> Option<Fault> {
        self.0.iter().copied().find(|fault| match fault {
            Fault::Hypercall { at, .. } | Fault::Status { at, .. } | Fault::Untouched { at } => {
                *at == position
            }
        })
    }

    /// Runs a call that does a number of things until one can't be done: how many were.
    pub(super) fn counted(
        &self,
        len: usize,
        mut run: impl FnMut(usize) -> bool,
    ) -> Result<usize, Errno> {
        match self.at(0) {
            Some(Fault::Hypercall { at: 0, errno }) => Err(errno),
            // Of one that it can't do, Xen says no more than that it is the first.
            _ => Ok((0..len).take_while(|at| self.at(*at).is_none() && run(*at)).count()),
        }
    }

    /// Runs a call that takes one operation.
    pub(super) fn single(&self, run: impl FnOnce()) -> Result<(), Errno> {
        match self.at(0) {
            Some(Fault::Hypercall { errno, .. }) => Err(errno),
            // The status that the caller put there stays.
            Some(Fault::Status { .. } | Fault::Untouched { .. }) => Ok(()),
            None => {
                run();
                Ok(())
            }
        }
    }

    /// Runs a call that takes a batch.
    pub(super) fn each<T>(
        &self,
        ops: &mut [T],
        mut run: impl FnMut(&mut T),
        mut set_status: impl FnMut(&mut T, GrantStatus),
    ) -> Result<(), Errno> {
        for (position, op) in ops.iter_mut().enumerate() {
            match self.at(position) {
                Some(Fault::Hypercall { errno, .. }) => return Err(errno),
                Some(Fault::Status { status, .. }) => set_status(op, status),
                Some(Fault::Untouched { .. }) => {}
                None => run(op),
            }
        }
        Ok(())
    }
}
