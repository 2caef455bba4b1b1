//! Faults that a test asks for: any status at any position of a batch, or the hypercall's own.

use std::vec::Vec;

use xen_sys::grant_table::GrantStatus;

use drivers::{Call, Errno};

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
