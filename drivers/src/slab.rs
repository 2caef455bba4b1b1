// SPDX-License-Identifier: MIT OR Apache-2.0
//! A slab: values stored under small numbers, which are reused after their values are removed.
//!
//! The cost of a call doesn't depend on the number of values. Growing is fallible. An empty slab
//! frees its memory, so that the heap shows what is in use. Nothing here panics.

use alloc::vec::Vec;

/// No place: the end of the free list.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Place<T> {
    Taken(T),
    /// The next free place, or [`NONE`].
    Free(u32),
}

/// Values by number.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    first_free: u32,
    taken: usize,
}

impl<T> Slab<T> {
    /// Returns an empty slab, without allocating.
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), first_free: NONE, taken: 0 }
    }

    /// Inserts a value and returns its number.
    ///
    /// # Errors
    /// The value itself, if memory runs out.
    pub(crate) fn insert(&mut self, value: T) -> Result<u32, T> {
        let number = self.first_free;
        if let Some(place) = self.places.get_mut(number as usize) {
            if let Place::Free(next) = core::mem::replace(place, Place::Taken(value)) {
                self.first_free = next;
            }
            self.taken += 1;
            return Ok(number);
        }
        // The second check proves to the compiler that `push` has room.
        if self.places.try_reserve(1).is_err() || self.places.len() == self.places.capacity() {
            return Err(value);
        }
        self.places.push(Place::Taken(value));
        self.taken += 1;
        Ok(self.places.len() as u32 - 1)
    }

    /// Removes and returns a value.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.places.get_mut(number as usize)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let taken = core::mem::replace(place, Place::Free(self.first_free));
        self.first_free = number;
        self.taken -= 1;
        if self.taken == 0 {
            *self = Self::new();
        }
        match taken {
            Place::Taken(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        match self.places.get_mut(number as usize) {
            Some(Place::Taken(value)) => Some(value),
            _ => None,
        }
    }

    /// Iterates over all values with their numbers.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        let places = (0..).zip(&mut self.places);
        places.filter_map(|(number, place)| match place {
            Place::Taken(value) => Some((number, value)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_reused_once_its_value_is_removed() {
        let mut slab = Slab::new();
        assert_eq!([slab.insert('a'), slab.insert('b'), slab.insert('c')], [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(slab.remove(1), Some('b'));
        assert_eq!(slab.remove(1), None);
        assert_eq!(slab.remove(0), Some('a'));
        assert_eq!(slab.remove(7), None);
        assert_eq!([slab.insert('d'), slab.insert('e'), slab.insert('f')], [Ok(0), Ok(1), Ok(3)]);
        assert_eq!(slab.get_mut(3), Some(&mut 'f'));
        assert_eq!(slab.get_mut(4), None);
        assert_eq!(slab.places.len(), 4);
        let all: Vec<_> = slab.iter_mut().map(|(number, value)| (number, *value)).collect();
        assert_eq!(all, [(0, 'd'), (1, 'e'), (2, 'c'), (3, 'f')]);
        (0..4).for_each(|number| assert!(slab.remove(number).is_some()));
        assert_eq!(slab.places.capacity(), 0, "an empty slab holds no memory");
    }
}
