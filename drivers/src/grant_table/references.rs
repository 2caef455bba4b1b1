// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which references are free, and what is known about the others: one dense table.

use alloc::vec::Vec;

use xen_sys::grant_table::GNTTAB_NR_RESERVED_ENTRIES;

use crate::{Error, GrantRef};

/// No reference. Those below 8 are Xen's own, so 0 is never one of ours.
const NONE: u32 = 0;

/// What is known about a reference besides its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Free; the next free reference below `fresh`, or [`NONE`].
    Free(u32),
    /// Granted at this time, in nanoseconds of Xen's system time.
    Granted(u64),
    /// Granted at this time, but only the peer still holds it.
    Parked(u64),
}

/// The references of a table.
#[derive(Debug)]
pub(super) struct References {
    /// By reference, for every entry of the table.
    lives: Vec<Life>,
    /// The lowest reference never used so far.
    fresh: u32,
    /// The head of the free list, the one freed last, or [`NONE`].
    first_free: u32,
    /// How many references are granted now.
    in_use: u32,
}

impl References {
    /// Creates the references of a table without entries.
    pub(super) const fn new() -> Self {
        let fresh = GNTTAB_NR_RESERVED_ENTRIES;
        Self { lives: Vec::new(), fresh, first_free: NONE, in_use: 0 }
    }

    /// Makes room for a table of `entries` entries, before it exists.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn reserve(&mut self, entries: u32) -> Result<(), Error> {
        let more = (entries as usize).saturating_sub(self.lives.len());
        self.lives.try_reserve(more).map_err(|_| Error::NO_MEMORY)
    }

    /// Records that the table has `entries` entries, for which there is room.
    pub(super) fn grow(&mut self, entries: u32) {
        self.lives.resize((entries as usize).max(self.lives.len()), Life::Free(NONE));
    }

    /// Returns how many references are granted now.
    pub(super) fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Returns how many entries the table needs for `n` more references, including Xen's own.
    pub(super) fn needed(&self, n: u32) -> u64 {
        u64::from(GNTTAB_NR_RESERVED_ENTRIES) + u64::from(self.in_use) + u64::from(n)
    }

    /// Takes a free reference for each of `places`, granted from now on, until there is none.
    /// Returns how many it took.
    pub(super) fn take<'a>(
        &mut self,
        now: u64,
        places: impl Iterator<Item = &'a mut GrantRef>,
    ) -> usize {
        let lives = &mut *self.lives;
        // Local variables, since the compiler would write fields back for every place.
        let (mut first_free, mut fresh, mut taken) = (self.first_free, self.fresh, 0);
        for place in places {
            let reused = first_free != NONE;
            let gref = if reused { first_free } else { fresh };
            let Some(life) = lives.get_mut(gref as usize) else {
                break;
            };
            // A fresh one has no next one either.
            let Life::Free(next) = *life else {
                break;
            };
            first_free = next;
            *life = Life::Granted(now);
            fresh += u32::from(!reused);
            *place = GrantRef(gref);
            taken += 1;
        }
        (self.first_free, self.fresh) = (first_free, fresh);
        self.in_use += taken as u32;
        taken
    }

    /// Frees references.
    pub(super) fn give(&mut self, grefs: impl Iterator<Item = GrantRef>) {
        let lives = &mut *self.lives;
        let (mut first_free, mut given) = (self.first_free, 0);
        for GrantRef(gref) in grefs {
            if let Some(life) = lives.get_mut(gref as usize) {
                *life = Life::Free(first_free);
                first_free = gref;
                given += 1;
            }
        }
        self.first_free = first_free;
        self.in_use -= given;
    }

    /// Records that only the peer still holds it.
    pub(super) fn park(&mut self, gref: u32) {
        if let Some(life) = self.lives.get_mut(gref as usize)
            && let Life::Granted(since) = *life
        {
            *life = Life::Parked(since);
        }
    }

    /// Returns what is known about a reference; `None` beyond the table.
    pub(super) fn get(&self, gref: u32) -> Option<Life> {
        self.lives.get(gref as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_references_are_reused_before_new_ones_and_none_is_beyond_the_table() {
        let mut references = References::new();
        let mut places = [GrantRef(0); 4];
        assert_eq!(references.take(0, places.iter_mut()), 0);
        references.reserve(11).unwrap();
        references.grow(11);
        assert_eq!(references.take(5, places[..1].iter_mut()), 1);
        assert_eq!(references.take(6, places[1..].iter_mut()), 2);
        assert_eq!(places, [8, 9, 10, 0].map(GrantRef));
        assert_eq!((references.take(7, places.iter_mut()), references.in_use()), (0, 3));
        references.park(9);
        assert_eq!(
            [8, 9].map(|gref| references.get(gref)),
            [Some(Life::Granted(5)), Some(Life::Parked(6))]
        );
        references.give([9, 8].map(GrantRef).into_iter());
        assert_eq!(references.in_use(), 1);
        assert_eq!(references.take(8, places.iter_mut()), 2);
        assert_eq!(places, [8, 9, 10, 0].map(GrantRef));
        assert_eq!(references.get(9), Some(Life::Granted(8)));
        assert_eq!((references.get(11), references.needed(1)), (None, 12));
    }
}
