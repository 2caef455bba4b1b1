// SPDX-License-Identifier: MIT OR Apache-2.0
//! Free ranges of the window's addresses.
//!
//! The lowest range that fits is taken, so that page tables are reused. Releasing never fails,
//! since the room for it is reserved when a range is taken.

use alloc::vec::Vec;
use core::ops::Range;

/// The free part of a range of addresses.
#[derive(Debug)]
pub struct FreeRanges {
    all: Range<usize>,
    /// Unordered: one for each gap between reservations; empty if the whole gap is taken.
    free: Vec<Range<usize>>,
    reserved: usize,
}

impl FreeRanges {
    /// All of `all` is free.
    pub const fn new(all: Range<usize>) -> Self {
        Self { all, free: Vec::new(), reserved: 0 }
    }

    /// The start of the lowest free range of `len` bytes. `None` for 0 bytes, if no range is long
    /// enough, or if memory runs out.
    pub fn reserve(&mut self, len: usize) -> Option<usize> {
        // n reservations leave at most n + 1 gaps.
        let enough = self.reserved + 2;
        self.free.try_reserve(enough.saturating_sub(self.free.len())).ok()?;
        if self.free.is_empty() && self.reserved == 0 {
            let all = self.all.clone();
            self.put(all);
        }
        let fits = self.free.iter_mut().filter(|range| len > 0 && range.len() >= len);
        let range = fits.min_by_key(|range| range.start)?;
        let start = range.start;
        range.start += len;
        self.reserved += 1;
        Some(start)
    }

    /// Takes back a range that [`FreeRanges::reserve`] gave.
    pub fn release(&mut self, mut range: Range<usize>) {
        self.free.retain(|free| {
            let (before, behind) = (free.end == range.start, free.start == range.end);
            if before {
                range.start = free.start;
            }
            if behind {
                range.end = free.end;
            }
            !before && !behind
        });
        self.put(range);
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Adds a range. There must be room for it.
    fn put(&mut self, range: Range<usize>) {
        if self.free.len() < self.free.capacity() {
            self.free.push(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Range<usize> = 0x1000..0x9000;

    #[test]
    fn the_lowest_that_fits_is_taken() {
        let mut ranges = FreeRanges::new(ALL);
        assert_eq!(ranges.reserve(0x1000), Some(0x1000));
        assert_eq!(ranges.reserve(0x2000), Some(0x2000));
        assert_eq!(ranges.reserve(0x1000), Some(0x4000));
        ranges.release(0x2000..0x4000);
        ranges.release(0x1000..0x2000);
        assert_eq!(ranges.reserve(0x4000), Some(0x5000));
        assert_eq!(ranges.reserve(0x1000), Some(0x1000));
        assert_eq!(ranges.reserve(0x3000), None);
        assert_eq!(ranges.reserve(0), None);
    }

    #[test]
    fn what_is_given_back_is_one_range_again_whatever_the_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut ranges = FreeRanges::new(ALL);
            let taken = [(); 3].map(|()| ranges.reserve(0x1000).expect("room"));
            for index in order {
                ranges.release(taken[index]..taken[index] + 0x1000);
            }
            assert_eq!(ranges.reserve(ALL.len()), Some(ALL.start), "{order:?}");
        }
    }

    #[test]
    fn all_can_be_taken_and_given_back() {
        let mut ranges = FreeRanges::new(ALL);
        assert_eq!(ranges.reserve(ALL.len()), Some(ALL.start));
        assert_eq!(ranges.reserve(1), None);
        ranges.release(ALL);
        assert_eq!(ranges.reserve(ALL.len()), Some(ALL.start));
    }

    #[test]
    fn any_order_of_taking_and_giving_back_ends_in_one_range() {
        let mut ranges = FreeRanges::new(ALL);
        let mut held: Vec<Range<usize>> = Vec::new();
        let mut number = 1_u32;
        for _ in 0..10_000 {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (len, which) = (0x1000 * (1 + (number >> 24) as usize % 3), number >> 16);
            if let Some(start) = (number >> 31 == 0).then(|| ranges.reserve(len)).flatten() {
                let taken = start..start + len;
                let apart = |other: &Range<usize>| taken.end <= other.start || other.end <= start;
                assert!(ALL.start <= start && taken.end <= ALL.end && held.iter().all(apart));
                held.push(taken);
            } else if !held.is_empty() {
                ranges.release(held.swap_remove(which as usize % held.len()));
            }
            assert!(ranges.free.len() <= held.len() + 1);
        }
        held.into_iter().for_each(|range| ranges.release(range));
        assert_eq!(ranges.reserve(ALL.len()), Some(ALL.start));
    }

    #[test]
    fn giving_back_takes_no_memory() {
        let mut ranges = FreeRanges::new(ALL);
        let taken: Vec<usize> = (0..8).map_while(|_| ranges.reserve(0x1000)).collect();
        let capacity = ranges.free.capacity();
        // Every other one first, so that no two of them touch.
        for start in taken.iter().step_by(2).chain(taken.iter().skip(1).step_by(2)) {
            ranges.release(*start..start + 0x1000);
            assert_eq!(ranges.free.capacity(), capacity);
        }
        assert_eq!(ranges.reserve(ALL.len()), Some(ALL.start));
    }
}
