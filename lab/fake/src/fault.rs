//! Faults that a test asks for: any status at any position of a batch, or the hypercall's own.

use std::collections::VecDeque;
use std::vec::Vec;

use xen_sys::grant_table::GrantStatus;

use drivers::{Call, Errno};

/// Something that goes wrong at the next call of a kind.
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
    next: VecDeque<(Call, Fault)>,
    /// The same for the call after the next.
    later: VecDeque<(Call, Fault)>,
    /// Calls that fail whenever they are made.
    denied: Vec<(Call, Errno)>,
}

impl Faults {
    pub(super) fn push(&mut self, call: Call, fault: Fault) {
        self.next.push_back((call, fault));
    }

    pub(super) fn push_later(&mut self, call: Call, fault: Fault) {
        self.later.push_back((call, fault));
    }

    pub(super) fn deny(&mut self, call: Call, errno: Option<Errno>) {
        self.denied.retain(|(denied, _)| *denied != call);
        self.denied.extend(errno.map(|errno| (call, errno)));
    }

    /// All faults for this call, which are spent.
    pub(super) fn take(&mut self, call: Call) -> Batch {
        let (mut now, later) = self.next.drain(..).partition(|(kind, _)| *kind == call);
        self.next = later;
        let (due, later) = self.later.drain(..).partition(|(kind, _)| *kind == call);
        self.later = later;
        self.next.extend::<VecDeque<_>>(due);
        let denied = self.denied.iter().filter(|(kind, _)| *kind == call);
        now.extend(denied.map(|(_, errno)| (call, Fault::Hypercall { at: 0, errno: *errno })));
        Batch(now)
    }
}

/// The faults of one call.
#[derive(Debug)]
pub(super) struct Batch(VecDeque<(Call, Fault)>);

impl Batch {
    fn at(&self, position: usize) -> Option<Fault> {
        self.0.iter().map(|(_, fault)| *fault).find(|fault| match fault {
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
