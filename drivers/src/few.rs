// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list that holds a single item in place: what belongs to one page then needs no heap.
//!
//! Its room is fixed when it is made, fallibly; nothing else here allocates.

use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::slice;

use crate::Error;

/// A list of few items, usually one.
#[derive(Debug)]
pub(crate) enum Few<T> {
    One(T),
    /// Any number of items; without room, there is room for one in its place.
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// Returns an empty list with room for one item.
    pub(crate) const fn new() -> Self {
        Self::Many(Vec::new())
    }

    /// Returns an empty list with room for `count` items.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn with_room(count: usize) -> Result<Self, Error> {
        let mut many = Vec::new();
        if count > 1 {
            many.try_reserve_exact(count).map_err(|_| Error::NO_MEMORY)?;
        }
        Ok(Self::Many(many))
    }

    /// Returns an item by its number: as `get`, but without making a slice of a single item first.
    #[inline]
    pub(crate) fn at(&self, number: usize) -> Option<&T> {
        match self {
            Self::Many(many) => many.get(number),
            Self::One(item) if number == 0 => Some(item),
            Self::One(_) => None,
        }
    }

    /// Adds an item. One for which there is no room is dropped.
    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        match self {
            // The check proves to the compiler that the list doesn't grow.
            Self::Many(many) if many.len() < many.capacity() => many.push(item),
            Self::Many(many) if many.capacity() == 0 => *self = Self::One(item),
            _ => (),
        }
    }

    /// Adds items, as [`Few::push`] does.
    #[inline]
    pub(crate) fn extend(&mut self, items: impl ExactSizeIterator<Item = T>) {
        match self {
            // As in `push`.
            Self::Many(many) if items.len() <= many.capacity() - many.len() => many.extend(items),
            _ => items.for_each(|item| self.push(item)),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::One(item) => slice::from_ref(item),
            Self::Many(many) => many,
        }
    }
}

impl<T> DerefMut for Few<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(item) => slice::from_mut(item),
            Self::Many(many) => many,
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_as_many_as_it_has_room_for_and_one_without_memory() {
        for room in 0..4 {
            let mut few = Few::with_room(room).unwrap();
            (0..room + 3).for_each(|item| few.push(item));
            let held: Vec<usize> = (0..room.max(1)).collect();
            assert_eq!(*few, held[..]);
            assert_eq!(matches!(few, Few::One(_)), room < 2);
            few[0] = 7;
            assert_eq!((few.at(0), few.at(held.len())), (Some(&7), None));
        }
    }

    #[test]
    fn items_are_added_together_as_one_by_one() {
        for (room, first, more) in
            [(0, 1, 0), (0, 0, 2), (1, 0, 1), (3, 1, 2), (3, 2, 2), (4, 0, 5)]
        {
            let mut few = Few::with_room(room).unwrap();
            few.extend(0..first);
            few.extend(first..first + more);
            let held: Vec<u8> = (0..first + more).take(room.max(1)).collect();
            assert_eq!(*few, held[..], "{more} after {first}, with room for {room}");
            assert_eq!(matches!(few, Few::One(_)), room < 2 && !held.is_empty());
        }
    }
}
