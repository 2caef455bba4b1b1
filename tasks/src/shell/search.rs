// SPDX-License-Identifier: MIT OR Apache-2.0
//! A search in the history for lines that contain a text, newest first.

use alloc::vec::Vec;

use drivers::list;

use super::display::last_char;
use super::history::History;
use super::keys::Key;

/// Displayed before and after the search text.
const AROUND: [&[u8]; 2] = [b"(search) ", b": "];

/// A search that has begun.
#[derive(Debug, Default)]
pub(crate) struct Search {
    text: Vec<u8>,
    /// How many matches to skip, from the newest on.
    skip: usize,
}

impl Search {
    /// The line found.
    pub(crate) fn found<'a>(&self, history: &'a History) -> Option<&'a [u8]> {
        history.find(&self.text, self.skip)
    }

    /// The text displayed instead of the line being typed.
    pub(crate) fn shown<'a>(&'a self, history: &'a History) -> impl Iterator<Item = u8> + 'a {
        let found = self.found(history).unwrap_or_default();
        [AROUND[0], &self.text, AROUND[1], found].into_iter().flatten().copied()
    }

    /// Handles a key; returns whether it belongs to the search.
    pub(crate) fn take(&mut self, key: Key, history: &History) -> bool {
        match key {
            // If memory runs out, the search stays unchanged.
            Key::Text(byte) => drop(list::push(&mut self.text, byte)),
            Key::Backspace => self.text.truncate(last_char(&self.text)),
            Key::Search => {
                // After the oldest match, it stays there.
                self.skip += usize::from(history.find(&self.text, self.skip + 1).is_some());
                return true;
            }
            _ => return false,
        }
        self.skip = 0;
        true
    }
}
