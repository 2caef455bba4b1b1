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

    /// Makes a list of what `items` returns, at least one item.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn of(mut items: impl ExactSizeIterator<Item = T>) -> Result<Self, Error> {
        if items.len() == 1 {
            return Ok(items.next().map_or(Self::new(), Self::One));
        }
        let mut many = Vec::new();
        many.try_reserve_exact(items.len()).map_err(|_| Error::NO_MEMORY)?;
        many.extend(items);
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
    fn it_is_made_of_what_an_iterator_returns() {
        for count in 0..4 {
            let few = Few::of(0..count).unwrap();
            assert_eq!(*few, (0..count).collect::<Vec<u8>>()[..]);
            assert_eq!(matches!(few, Few::One(_)), count == 1);
        }
    }
}
