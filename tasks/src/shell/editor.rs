//! The line editor: plain text out, whatever comes in.
//!
//! Characters are echoed as they are and erased with backspaces. No escape sequence is ever sent,
//! so a program at the other end sees text. CR, LF and CRLF each end a line. A line that is too
//! long is dropped whole: half a command would be another command.

use alloc::vec::Vec;

use drivers::list;

use super::history::History;
use super::input::CTRL_C;

/// The most bytes of a line.
pub(crate) const LINE: usize = 8192;

const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// What a typed byte did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The line is still being typed.
    None,
    /// The line is finished.
    Line,
    /// The line is finished, and was too long.
    TooLong,
    /// The line was dropped by Ctrl-C.
    Dropped,
}

/// Where we are in an escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// After ESC.
    Started,
    /// After ESC and `[` or `O`.
    Sequence,
}

/// A line that is being typed.
#[derive(Debug)]
pub(crate) struct Editor {
    line: Vec<u8>,
    too_long: bool,
    /// What is to be echoed.
    echo: Vec<u8>,
    escape: Escape,
    /// Whether the last byte was a CR, so that an LF belongs to it.
    after_cr: bool,
    history: History,
}

impl Editor {
    /// With room for the longest line; `None` without memory.
    pub(crate) fn new() -> Option<Self> {
        let mut line = Vec::new();
        line.try_reserve_exact(LINE).ok()?;
        Some(Self {
            line,
            too_long: false,
            echo: Vec::new(),
            escape: Escape::None,
            after_cr: false,
            history: History::new(),
        })
    }

    /// The line as it is now. After [`Edit::TooLong`] as much of it as a line holds.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// What is to be echoed, since [`Editor::clear_echo`].
    pub(crate) fn echo(&self) -> &[u8] {
        &self.echo
    }

    pub(crate) fn clear_echo(&mut self) {
        self.echo.clear();
    }

    /// Begins the next line.
    pub(crate) fn begin(&mut self) {
        self.line.clear();
        self.too_long = false;
    }

    /// Takes a typed byte.
    pub(crate) fn take(&mut self, byte: u8) -> Edit {
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        if self.in_escape(byte) {
            return Edit::None;
        }
        match byte {
            b'\n' if after_cr => {}
            b'\r' | b'\n' => return self.finish(),
            CTRL_C => {
                self.show(b"^C\n");
                self.history.rewind();
                return Edit::Dropped;
            }
            BACKSPACE | DELETE => self.erase_to(last_char(&self.line)),
            CTRL_U => self.erase_to(0),
            CTRL_W => self.erase_to(last_word(&self.line)),
            b'\t' => self.insert(b' '),
            ..=0x1f => {}
            _ => self.insert(byte),
        }
        Edit::None
    }

    fn finish(&mut self) -> Edit {
        self.show(b"\n");
        if self.too_long {
            self.history.rewind();
            return Edit::TooLong;
        }
        self.history.add(&self.line);
        Edit::Line
    }

    /// Whether the byte belongs to an escape sequence. Of these only up and down mean something.
    fn in_escape(&mut self, byte: u8) -> bool {
        let state = core::mem::replace(&mut self.escape, Escape::None);
        match (state, byte) {
            (_, ESCAPE) => self.escape = Escape::Started,
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Sequence,
            (Escape::Sequence, b'A') => self.recall(History::older),
            (Escape::Sequence, b'B') => self.recall(History::newer),
            // Parameters: the sequence goes on.
            (Escape::Sequence, 0x20..=0x3f) => self.escape = Escape::Sequence,
            (Escape::Sequence, 0x40..=0x7e) => {}
            // Not a sequence after all: the byte is a key of its own.
            _ => return false,
        }
        true
    }

    /// Puts another line in the place of this one.
    fn recall(&mut self, which: fn(&mut History, &[u8]) -> Option<Vec<u8>>) {
        if let Some(line) = which(&mut self.history, &self.line) {
            self.erase_to(0);
            line.into_iter().for_each(|byte| self.insert(byte));
        }
    }

    fn insert(&mut self, byte: u8) {
        // The room for it was made at the start.
        if self.line.len() >= self.line.capacity().min(LINE) {
            self.too_long = true;
            return;
        }
        self.line.push(byte);
        self.show(&[byte]);
    }

    /// Cuts the line at `len` bytes and erases what was there.
    fn erase_to(&mut self, len: usize) {
        // What was typed beyond the end isn't kept, so only the whole line can be erased.
        if self.too_long && len > 0 {
            return;
        }
        self.too_long = false;
        let columns = self.line.iter().skip(len).filter(|byte| starts_char(**byte));
        for _ in 0..columns.count() {
            self.show(b"\x08 \x08");
        }
        self.line.truncate(len);
    }

    fn show(&mut self, bytes: &[u8]) {
        // Without memory the character is in the line and isn't echoed.
        let _ = list::extend(&mut self.echo, bytes.iter().copied());
    }
}

/// Whether a byte of UTF-8 is the first of its character.
fn starts_char(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Where the last character begins.
fn last_char(line: &[u8]) -> usize {
    line.iter().rposition(|byte| starts_char(*byte)).unwrap_or(0)
}

/// Where the last word begins, with the blanks behind it.
fn last_word(line: &[u8]) -> usize {
    let blank = line.trim_ascii_end().iter().rposition(|byte| *byte == b' ');
    blank.map_or(0, |blank| blank + 1)
}
