// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the heap refuse a request of the next call.
//!
//! A refused call either needs no memory after all, or returns ENOMEM and changes nothing. Calls
//! that release something never need memory, so they must give their ordinary answer.

use drivers::Call;
use linux::ioctl::{GntallocFile, GntdevFile};

use super::Rig;
use crate::Stage;
use crate::reference::{DomainId, Lacked, answer};

impl<S: Stage> Rig<S> {
    /// Makes the heap refuse a request of the next call, or of an open now.
    pub(super) fn shorten(&mut self, id: DomainId, a: usize, b: usize) {
        // Most calls make one or two.
        let answered = [0, 0, 0, 1, 1, 2, 3, 5][a % 8];
        let gntdev = &self.guest(id).services.gntdev;
        match b % 8 {
            0 => {
                let (opened, lacked) = S::lacking(answered, || GntdevFile::open(gntdev));
                assert!(opened.is_ok() || lacked, "gntdev open: {opened:?}");
                // The next device gets the place that this one had.
                if answer(opened.map(drop)).is_ok() {
                    let place = self.model.domains[id].places.take();
                    self.model.domains[id].places.give(place);
                }
            }
            1 => {
                let gntalloc = &self.guest(id).services.gntalloc;
                let (opened, lacked) = S::lacking(answered, || GntallocFile::open(gntalloc));
                assert!(opened.is_ok() || lacked, "gntalloc open: {opened:?}");
            }
            _ => self.short = Some(answered),
        }
    }

    /// Makes a call with the planned heap refusal, if any, and tells the model about it.
    pub(super) fn lacking<R>(&mut self, id: DomainId, call: impl FnOnce(&mut Self) -> R) -> R {
        let Some(answered) = self.short.take() else {
            return call(self);
        };
        let unmaps =
            |rig: &mut Self| rig.guest(id).services.system.counters().calls(Call::GnttabUnmap);
        let before = unmaps(self);
        let (result, refused) = S::lacking(answered, || call(self));
        let retried = unmaps(self) > before;
        self.model.lacked = Lacked { refused, retried };
        result
    }
}
