//! A string that asks before it grows, for whatever a user can make long.

use alloc::string::String;
use core::fmt;

/// A string whose growth can fail: `write!` to it is an error then, and not the end of the guest.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// An empty one; takes nothing from the heap.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Forgets what was written, and keeps the room.
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
