// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words for people: a string that can fail to grow, for whatever a user can make long; lists; and
//! the log.

use alloc::string::String;
use core::fmt::{self, Display};

use log::Level;

/// A string whose growth can fail: without memory, `write!` returns an error instead of aborting.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// An empty one, without an allocation.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// An empty one with room for `len` bytes; `None` without memory.
    pub fn with_room(len: usize) -> Option<Self> {
        let mut text = String::new();
        text.try_reserve_exact(len).ok()?;
        Some(Self(text))
    }

    /// The bytes that it holds before it has to grow.
    pub fn room(&self) -> usize {
        self.0.capacity()
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Empties it, and keeps the allocation.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(text);
        Ok(())
    }
}

/// Writes items separated by commas, as in a result line.
///
/// # Errors
/// Those of `to`.
pub fn list<T: Display>(
    to: &mut dyn fmt::Write,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (place, item) in items.into_iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(to, "{comma}{item}")?;
    }
    Ok(())
}

/// Logs a line about `what`. Each use of a macro of `log` leaves a place in the image, so this is
/// the only one.
pub(crate) fn log(level: Level, what: &str, words: &dyn Display) {
    log::log!(level, "{what}: {words}");
}
