// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that a test injects: any status at any position of a batch, any error of a hypercall,
//! failing page allocations, and a peer that acts in the middle of a call.

use core::sync::atomic::Ordering;
use std::vec::Vec;

use xen_sys::grant_table::GrantStatus;

use super::FakeXen;
use drivers::{Call, Errno, GrantRef};

/// Something that goes wrong in one hypercall: see [`crate::FakeXen::inject`].
///
/// A call that takes a single operation instead of a batch has only entry 0. One call can have
/// several faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The hypercall fails at entry `at`, after carrying out the entries before it.
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
        /// The status that Xen writes there.
        status: GrantStatus,
    },
    /// Entry `at` is neither carried out nor written to (XSA-318).
    Untouched {
        /// The entry's position, from 0.
        at: usize,
    },
}

impl FakeXen {
    /// Injects `fault` into this domain's next `call`. Several faults for the same call all take
    /// effect.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.inject_after(0, call, fault);
    }

    /// Injects `fault` into the `call` after the next, which a service often makes to undo what
    /// failed.
    pub fn inject_later(&self, call: Call, fault: Fault) {
        self.inject_after(1, call, fault);
    }

    /// Injects `fault` into the `call` that follows `calls` more calls of its kind.
    pub fn inject_after(&self, calls: u32, call: Call, fault: Fault) {
        self.of(&mut self.world.lock()).faults.plan(calls, call, fault);
    }

    /// Makes every `call` fail with `errno`, until lifted with `None`, as if Xen lacked the
    /// operation or refused it for a while.
    pub fn deny(&self, call: Call, errno: Option<Errno>) {
        self.of(&mut self.world.lock()).faults.deny(call, errno);
    }

    /// Makes one page allocation fail, after `successes` more that succeed. If a page table needs a
    /// frame before the next allocation, that fails instead.
    pub fn fail_page_after(&self, successes: u32) {
        self.of(&mut self.world.lock()).pages_until_failure = Some(successes);
    }

    /// Makes the next mapping of frame `number` of its grant table fail with `errno`, as if there
    /// were no frame for a page table or Xen refused it. The guest can't tell whether the frames
    /// before it in the same call were mapped.
    pub fn refuse_grant_frame(&self, number: u32, errno: Errno) {
        self.of(&mut self.world.lock()).grant_frame_refused = Some((number, errno));
    }

    /// Pages out the frame that `gref` of this domain grants: maps and copies of it answer eagain
    /// `answers` times, and then succeed.
    pub fn page_out(&self, gref: GrantRef, answers: u32) {
        let state = &mut *self.world.lock();
        let domain = self.of(state);
        let gfn = domain.pages.entry(gref.0).frame.load(Ordering::SeqCst);
        domain.paged_out.insert(gfn.into(), answers);
    }

    /// Saves and restores the domain, which moves its page tables to other machine frames.
    ///
    /// # Panics
    /// If it maps anything: Xen would not restore mappings.
    pub fn restore(&self) {
        let state = &mut *self.world.lock();
        let domain = state.domain(self.domid);
        assert!(domain.maptrack.iter().all(Option::is_none), "what is mapped is not restored");
        domain.restores += 1;
    }

    /// Runs `run` when this domain accesses its grant table for the `looks`th time from now: what a
    /// peer does just then, for example between the check of an entry and its end.
    pub fn interrupt(&self, looks: u64, run: impl FnOnce() + Send + 'static) {
        self.pages.interrupts.set(self.entry_looks() + looks, run);
    }
}

/// A domain's pending faults.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Each with the number of calls of its kind that come before it.
    planned: Vec<(u32, Call, Fault)>,
    /// Calls that always fail.
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

    /// Removes and returns all faults for this call.
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

    /// Runs a call that does `len` things until one fails. Returns how many succeeded.
    pub(super) fn counted(
        &self,
        len: usize,
        mut run: impl FnMut(usize) -> bool,
    ) -> Result<usize, Errno> {
        match self.at(0) {
            Some(Fault::Hypercall { at: 0, errno }) => Err(errno),
            // Xen doesn't say why it stopped, only how many succeeded.
            _ => Ok((0..len).take_while(|at| self.at(*at).is_none() && run(*at)).count()),
        }
    }

    /// Runs a call that takes a single operation.
    pub(super) fn single(&self, run: impl FnOnce()) -> Result<(), Errno> {
        match self.at(0) {
            Some(Fault::Hypercall { errno, .. }) => Err(errno),
            // The caller's initial status stays.
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
