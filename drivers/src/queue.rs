// SPDX-License-Identifier: MIT OR Apache-2.0
//! A queue with room made in advance, whose first item is held in place: room for one needs no
//! heap.
//!
//! Only making room is fallible. An empty queue can give its memory back, so that the heap shows
//! what is in use.

use alloc::collections::VecDeque;

use crate::Error;

/// Items in the order in which they came.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// The first item; `None` only if there is no other.
    first: Option<T>,
    rest: VecDeque<T>,
}

impl<T> Queue<T> {
    /// Returns an empty queue with room for one item.
    pub(crate) const fn new() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }

    /// Returns the number of items.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Returns the items in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    /// Makes room for `more` items.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn make_room(&mut self, more: usize) -> Result<(), Error> {
        let in_place = usize::from(self.first.is_none());
        if more > in_place {
            return self.rest.try_reserve(more - in_place).map_err(|_| Error::NO_MEMORY);
        }
        Ok(())
    }

    /// Appends an item, for which there is room.
    pub(crate) fn push(&mut self, item: T) {
        if self.first.is_none() {
            self.first = Some(item);
        } else {
            self.rest.push_back(item);
        }
    }

    /// Removes and returns the first item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.first.take()?;
        self.first = self.rest.pop_front();
        Some(first)
    }

    /// Frees the memory of an empty queue.
    #[inline]
    pub(crate) fn trim(&mut self) {
        if self.rest.capacity() > 0 {
            self.free_if_empty();
        }
    }

    #[cold]
    fn free_if_empty(&mut self) {
        if self.first.is_none() {
            self.rest = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_their_order_and_one_takes_no_memory() {
        let mut queue = Queue::new();
        queue.make_room(1).unwrap();
        queue.push(0);
        assert_eq!((queue.first, queue.rest.capacity()), (Some(0), 0));
        queue.make_room(3).unwrap();
        let room = queue.rest.capacity();
        (1..4).for_each(|item| queue.push(item));
        assert_eq!(queue.rest.capacity(), room, "there was room");
        assert!(queue.iter().eq(&[0, 1, 2, 3]));
        assert_eq!(queue.len(), 4);
        queue.trim();
        assert_eq!([queue.pop(), queue.pop()], [Some(0), Some(1)]);
        queue.push(4);
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop(), queue.pop()],
            [Some(2), Some(3), Some(4), None]
        );
        queue.trim();
        assert_eq!(queue.rest.capacity(), 0);
    }
}
