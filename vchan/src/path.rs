// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a channel is published: below a path, as in libxenvchan.
//!
//! At either end, xenstore resolves a path without a leading slash relative to the caller's own
//! domain. libxenvchan itself accepts at most 49 bytes.

use alloc::string::String;
use core::fmt::{self, Write};

use drivers::Error as SystemError;

use crate::Error;

/// The node with the page's grant reference, and the one with the port, which is written last.
pub(crate) const RING_REF: &str = "ring-ref";
pub(crate) const EVENT_CHANNEL: &str = "event-channel";

/// A string whose growth may fail.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// The text of `words`.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn of(words: fmt::Arguments<'_>) -> Result<Self, Error> {
        let mut text = Self::default();
        text.push(words)?;
        Ok(text)
    }

    /// Appends the text of `words`.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn push(&mut self, words: fmt::Arguments<'_>) -> Result<(), Error> {
        Ok(self.write_fmt(words).map_err(|_| SystemError::NO_MEMORY)?)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.try_reserve(text.len()).map_err(|_| fmt::Error)?;
        if self.0.capacity() - self.0.len() < text.len() {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A 32-bit number in decimal digits, not 0, as nodes have it; `None` for anything else.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    let digits = value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| digits)?.parse().ok().filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_node_has_a_number_that_is_not_zero_or_nonsense() {
        assert_eq!(number(b"8"), Some(8));
        assert_eq!(number(b"4294967295"), Some(u32::MAX));
        for nonsense in [
            &b""[..],
            b"0",
            b"00",
            b"-1",
            b"+1",
            b" 1",
            b"1 ",
            b"1\0",
            b"4294967296",
            b"x",
            b"\xff",
        ] {
            assert_eq!(number(nonsense), None, "{nonsense:?}");
        }
    }
}
