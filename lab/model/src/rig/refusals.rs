// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes Xen refuse the next hypercall, a later one, or all from now on.

use alloc::vec::Vec;

use drivers::{Call, Errno};

use super::Rig;
use crate::Stage;
use crate::reference::{DomainId, Fault};

/// The calls that are made to fail, unmaps twice as often as the others.
const CALLS: [Call; 4] = [Call::GnttabUnmap, Call::GnttabUnmap, Call::GnttabMap, Call::GnttabCopy];
/// The errors that a hypercall is made to return.
const ERRNOS: [Errno; 4] = [Errno::EFAULT, Errno::EINVAL, Errno::ENOMEM, Errno::ENOSYS];

impl<S: Stage> Rig<S> {
    /// Makes the next call of some kind, or a later one, fail at some entry.
    pub(super) fn refuse(&mut self, id: DomainId, [a, b, c, d]: [usize; 4]) {
        let (call, calls) = (CALLS[a % 4], [0, 0, 0, 1, 2, 3][a / 4 % 6]);
        // Most batches are short; a few have more entries than one gref can have mappings.
        let at = if b < 224 { b % 6 } else { b / 2 };
        let fault = match c % 8 {
            0 => Fault::Hypercall { at, errno: ERRNOS[d % 4] },
            1 => Fault::Untouched { at },
            _ => Fault::Status { at, status: status(d, call) },
        };
        if self.stage.inject(id as u16, calls, call, fault) {
            self.model.domains[id].faults.plan(calls, call, fault);
        }
    }

    /// Makes every call of some kind fail from now on, or no longer.
    pub(super) fn deny(&mut self, id: DomainId, a: usize, b: usize) {
        let call = CALLS[a % 4];
        let errno = b.is_multiple_of(3).then_some(ERRNOS[b % 4]);
        if self.stage.deny(id as u16, call, errno) {
            self.model.domains[id].faults.deny(call, errno);
        }
    }

    /// Stops all refusals, and retries until nothing is stuck.
    pub(super) fn allow_all(&mut self) {
        for &id in &self.places {
            CALLS.iter().for_each(|call| _ = self.stage.deny(id as u16, *call, None));
            let gntdev = &self.guests[id].as_ref().expect("alive").services.gntdev;
            // Each try uses up a pending fault.
            let mut tries = 0;
            while gntdev.usage().stuck > 0 {
                gntdev.retry_stuck();
                tries += 1;
                assert!(tries < 10_000, "stuck for ever");
            }
        }
    }

    /// Picks a stuck index of a device that still exists.
    pub(super) fn stuck_index(&self, id: DomainId, pick: usize) -> Option<(usize, u64)> {
        let devs = self.model.domains[id].devs.iter().filter(|(_, dev)| dev.place.is_some());
        let files = devs.filter(|(number, _)| **number < super::FILES);
        let stuck: Vec<_> = files
            .flat_map(|(number, dev)| dev.stuck.iter().map(|index| (*number, *index)))
            .collect();
        (!stuck.is_empty()).then(|| stuck[pick % stuck.len()])
    }
}

/// Picks a status, one of Xen's or one that Xen doesn't have. Never success for an unmap: nobody
/// could detect that lie.
fn status(pick: usize, call: Call) -> i16 {
    match pick {
        0..160 => -1 - (pick % 14) as i16,
        160..192 => 1 + (pick % 14) as i16,
        192..208 => i16::MIN,
        208..224 => i16::MAX,
        224..240 if call != Call::GnttabUnmap => 0,
        _ => -12,
    }
}
