// SPDX-License-Identifier: MIT OR Apache-2.0
//! Refusals injected into Xen, and what they do to a batch.

use alloc::vec;
use alloc::vec::Vec;

use drivers::{Call, Errno};

use super::{Answer, DomainId, FrameId, Gref, Met, Model, Refusal, Why, refusal};

/// Xen's "try again", and how many retries there are.
const EAGAIN: i16 = -12;
const ATTEMPTS: u32 = 16;
/// The status of an entry that Xen did not reach.
const POISON: i16 = -1;

/// Something that goes wrong in one hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The hypercall fails at entry `at`.
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
        status: i16,
    },
    /// Entry `at` is neither carried out nor written to.
    Untouched {
        /// The entry's position, from 0.
        at: usize,
    },
}

impl Fault {
    fn position(self) -> usize {
        match self {
            Self::Hypercall { at, .. } | Self::Status { at, .. } | Self::Untouched { at } => at,
        }
    }
}

/// A domain's pending faults.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Each with the number of calls of its kind that come before it.
    planned: Vec<(u32, Call, Fault)>,
    denied: Vec<(Call, Errno)>,
}

impl Faults {
    pub fn plan(&mut self, calls: u32, call: Call, fault: Fault) {
        self.planned.push((calls, call, fault));
    }

    pub fn deny(&mut self, call: Call, errno: Option<Errno>) {
        self.denied.retain(|(denied, _)| *denied != call);
        self.denied.extend(errno.map(|errno| (call, errno)));
    }

    /// Removes and returns the faults for this call.
    fn take(&mut self, call: Call) -> Vec<Fault> {
        let due = |(calls, kind, _): &mut (u32, Call, Fault)| *kind == call && *calls == 0;
        let mut now: Vec<_> = self.planned.extract_if(.., due).map(|(_, _, fault)| fault).collect();
        for (calls, ..) in self.planned.iter_mut().filter(|(_, kind, _)| *kind == call) {
            *calls -= 1;
        }
        let denied = self.denied.iter().filter(|(kind, _)| *kind == call);
        now.extend(denied.map(|(_, errno)| Fault::Hypercall { at: 0, errno: *errno }));
        now
    }
}

fn status_refusal(status: i16, gref: Gref) -> Refusal {
    let errno = if status == Why::Space.status() { Errno::ENOMEM } else { Errno::EINVAL };
    Refusal { errno, grant: Some((status, gref)) }
}

/// Returns the answer to the caller: the hypercall's own error, else the first status other than
/// success.
fn verdict(called: Result<(), Errno>, statuses: &[i16], grefs: &[Gref]) -> Answer<()> {
    called.map_err(refusal)?;
    let refused = statuses.iter().zip(grefs).find(|(status, _)| **status != 0);
    refused.map_or(Ok(()), |(status, gref)| Err(status_refusal(*status, *gref)))
}

/// Carries out a batch of `count` entries.
fn each(
    faults: &[Fault],
    count: usize,
    mut run: impl FnMut(usize) -> i16,
) -> (Vec<i16>, Result<(), Errno>) {
    let mut statuses = vec![POISON; count];
    for (at, entry) in statuses.iter_mut().enumerate() {
        match faults.iter().find(|fault| fault.position() == at) {
            Some(Fault::Hypercall { errno, .. }) => return (statuses, Err(*errno)),
            Some(Fault::Status { status, .. }) => *entry = *status,
            Some(Fault::Untouched { .. }) => {}
            None => *entry = run(at),
        }
    }
    (statuses, Ok(()))
}

impl Model {
    /// Makes one unmap call for pages with these grefs. Returns which of them it unmapped, and the
    /// answer.
    pub fn unmap_call(&mut self, domain: DomainId, grefs: &[Gref]) -> (Vec<bool>, Answer<()>) {
        if grefs.is_empty() {
            return (Vec::new(), Ok(()));
        }
        let faults = self.domains[domain].faults.take(Call::GnttabUnmap);
        let (statuses, called) = each(&faults, grefs.len(), |_| 0);
        let answer = verdict(called, &statuses, grefs);
        self.met.unmaps_refused += u64::from(answer.is_err());
        (statuses.iter().map(|status| *status == 0).collect(), answer)
    }

    /// Maps all of `grants`, or nothing. Returns what is mapped afterwards, by position: all of it,
    /// or what Xen would not unmap again.
    pub fn map_all(
        &mut self,
        domain: DomainId,
        grants: &[(u16, Gref)],
        writable: bool,
    ) -> (Vec<Option<FrameId>>, Answer<()>) {
        let count = grants.len();
        if self.room.translated && grants.iter().any(|(domid, _)| usize::from(*domid) == domain) {
            self.met.maps_refused += 1;
            return (vec![None; count], Err(refusal(Errno::EINVAL)));
        }
        let (mut statuses, mut frames) = (vec![POISON; count], vec![None; count]);
        let mut batch = Batch { grants, writable, statuses: &mut statuses, frames: &mut frames };
        let mut called = self.map_call(domain, &mut batch, (0, count));
        if batch.statuses.iter().all(|status| matches!(*status, 0 | EAGAIN)) {
            for _ in 0..ATTEMPTS {
                called = called.and_then(|()| self.map_again(domain, &mut batch));
            }
        }
        for (status, frame) in statuses.iter_mut().zip(&frames) {
            if *status == 0 && frame.is_none() {
                // Success without a handle doesn't count.
                *status = POISON;
            }
        }
        let grefs: Vec<_> = grants.iter().map(|(_, gref)| *gref).collect();
        let answer = verdict(called, &statuses, &grefs);
        if answer.is_err() {
            self.met.maps_refused += 1;
            let live: Vec<_> = (0..count).filter(|at| frames[*at].is_some()).collect();
            let grefs: Vec<_> = live.iter().map(|at| grefs[*at]).collect();
            let (gone, _) = self.unmap_call(domain, &grefs);
            live.iter().zip(gone).filter(|(_, gone)| *gone).for_each(|(at, _)| frames[*at] = None);
        }
        (frames, answer)
    }

    /// Retries each run of entries that Xen answered with "try again".
    fn map_again(&mut self, domain: DomainId, batch: &mut Batch<'_>) -> Result<(), Errno> {
        let mut at = 0;
        while at < batch.grants.len() {
            let waits = batch.statuses[at..].iter().take_while(|status| **status == EAGAIN).count();
            if waits > 0 {
                self.map_call(domain, batch, (at, waits))?;
            }
            at += waits.max(1);
        }
        Ok(())
    }

    /// Makes one map call for `count` entries of a batch, from `first` on.
    fn map_call(
        &mut self,
        domain: DomainId,
        batch: &mut Batch<'_>,
        (first, count): (usize, usize),
    ) -> Result<(), Errno> {
        let faults = self.domains[domain].faults.take(Call::GnttabMap);
        let handles = self.handles(domain);
        let mut met = Met::default();
        let Batch { grants, writable, statuses, frames } = batch;
        let (answers, called) = each(&faults, count, |at| {
            let grant = grants[first + at];
            let done = || grants.iter().zip(frames.iter()).filter(|(_, frame)| frame.is_some());
            let before = done().filter(|(other, _)| **other == grant).count();
            let known = self.domains.get(usize::from(grant.0)).is_some_and(|d| d.alive);
            let verdict = if known && handles + done().count() >= self.room.mappings {
                Err(Why::Space)
            } else {
                self.xen(domain, grant, *writable, before)
            };
            met.count(verdict);
            frames[first + at] = verdict.ok();
            verdict.err().map_or(0, Why::status)
        });
        statuses[first..first + count].copy_from_slice(&answers);
        self.met += met;
        called
    }

    /// Makes a copy call with one entry, to which Xen's own answer would be `verdict`. Returns
    /// whether it's carried out, its status, and the answer.
    pub fn copy_call(&mut self, domain: DomainId, verdict: i16) -> (bool, i16, Result<(), Errno>) {
        let mut carried_out = false;
        let (mut status, mut called) = (EAGAIN, Ok(()));
        for _ in 0..=ATTEMPTS {
            if status == EAGAIN && called.is_ok() {
                let faults = self.domains[domain].faults.take(Call::GnttabCopy);
                let (statuses, result) = each(&faults, 1, |_| {
                    carried_out = true;
                    verdict
                });
                (status, called) = (statuses[0], result);
            }
        }
        (carried_out, status, called)
    }
}

/// A batch of maps.
struct Batch<'a> {
    grants: &'a [(u16, Gref)],
    writable: bool,
    statuses: &'a mut [i16],
    frames: &'a mut [Option<FrameId>],
}
