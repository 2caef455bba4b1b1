// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text for people: a string whose growth can fail, for anything that a user can make long; lists;
//! and the log.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Display, Write};

use drivers::boxed::boxed;
use log::Level;

/// A string whose growth can fail: if memory runs out, `write!` returns an error instead of
/// aborting.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// An empty string, without an allocation.
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// An empty string with room for `len` bytes; `None` if memory runs out.
    pub fn with_room(len: usize) -> Option<Self> {
        let mut text = String::new();
        text.try_reserve_exact(len).ok()?;
        Some(Self(text))
    }

    /// How many bytes it can hold before it has to grow.
    pub fn room(&self) -> usize {
        self.0.capacity()
    }

    /// The text so far.
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

/// Why something failed, in the size of a pointer, since results of that size are returned in
/// registers. If memory runs out, it is empty.
#[derive(Debug)]
pub(crate) struct Words(Option<Box<Text>>);

impl Words {
    /// From words.
    pub(crate) fn new(words: fmt::Arguments<'_>) -> Self {
        let mut text = Text::new();
        let _ = text.write_fmt(words);
        Self::from(text)
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", |text| text.as_str())
    }
}

impl From<Text> for Words {
    fn from(text: Text) -> Self {
        Self(boxed(text))
    }
}

/// Quoted input, with anything but printable ASCII as `\xNN`. `{:?}` would add 5 KiB of Unicode
/// tables to an image.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Plain(self.0.as_bytes()))
    }
}

/// Bytes printed so that they can't break the line: unprintable ones and backslashes as `\xNN`.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a [u8]);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            if (b' '..=b'~').contains(&byte) && byte != b'\\' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn quoted_input_shows_what_cannot_be_printed() {
        assert_eq!(Quoted("it's 5").to_string(), r#""it's 5""#);
        assert_eq!(Quoted("a\\c\n\u{1b}ü").to_string(), r#""a\x5cc\x0a\x1b\xc3\xbc""#);
    }
}
