// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line editor. A line that is too long is dropped as a whole: half a command would be a
//! different command.

use alloc::vec::Vec;

use drivers::list;

use super::display::{Display, columns, is_whole, last_char, starts_char};
use super::history::{History, copy};
use super::keys::{Key, Keys};
use super::search::Search;

/// Maximum length of a line in bytes.
pub(crate) const LINE: usize = 8192;

/// The effect of a typed byte.
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
    /// Ctrl-D on an empty line.
    Leave,
    /// The word before the cursor should be completed.
    Complete,
    /// The screen should be cleared.
    Clear,
}

/// A line being typed.
#[derive(Debug)]
pub(crate) struct Editor {
    line: Vec<u8>,
    /// The cursor's position in bytes.
    at: usize,
    too_long: bool,
    search: Option<Search>,
    display: Display,
    keys: Keys,
    history: History,
}

impl Editor {
    /// Creates one with room for the longest line; `None` if memory runs out.
    pub(crate) fn new() -> Option<Self> {
        let mut line = Vec::new();
        line.try_reserve_exact(LINE).ok()?;
        Some(Self {
            line,
            at: 0,
            too_long: false,
            search: None,
            display: Display::default(),
            keys: Keys::new(),
            history: History::new(),
        })
    }

    /// The current line. After [`Edit::TooLong`], as much of it as fits.
    pub(crate) fn line(&self) -> &[u8] {
        &self.line
    }

    /// The text before the cursor.
    pub(crate) fn before(&self) -> &[u8] {
        self.line.get(..self.at).unwrap_or_default()
    }

    /// Whether an escape sequence was ever received, so that sending one is fine.
    pub(crate) fn at_terminal(&self) -> bool {
        self.keys.terminal
    }

    /// Output to print now, since the last [`Editor::clear_echo`].
    pub(crate) fn echo(&mut self) -> &[u8] {
        if is_whole(self.before()) {
            self.show();
        }
        &self.display.output
    }

    pub(crate) fn clear_echo(&mut self) {
        self.display.output.clear();
    }

    /// Starts the next line, after this prompt.
    pub(crate) fn begin(&mut self, prompt: &str) {
        self.line.clear();
        (self.at, self.too_long, self.search) = (0, false, None);
        self.begin_again(prompt);
    }

    /// Redisplays the line, after a new prompt.
    pub(crate) fn begin_again(&mut self, prompt: &str) {
        self.display.begin(columns(prompt.as_bytes(), 0));
    }

    /// Handles a typed byte.
    pub(crate) fn take(&mut self, byte: u8) -> Edit {
        let known = self.at_terminal();
        let key = self.keys.take(byte);
        if self.at_terminal() && !known {
            self.display.ask_width();
        }
        let Some(key) = key else {
            return Edit::None;
        };
        if let Key::Column(column) = key {
            self.display.set_width(column);
            return Edit::None;
        }
        if self.search.is_some() && self.searches(key) {
            return Edit::None;
        }
        match key {
            Key::Text(byte) => self.insert(&[byte]),
            Key::Enter => return self.finish(),
            Key::Interrupt => {
                self.end(b"^C\n");
                return Edit::Dropped;
            }
            Key::Leave if self.line.is_empty() => return Edit::Leave,
            Key::Backspace => self.erase(last_char(self.before()), self.at),
            Key::Delete | Key::Leave => self.erase(self.at, self.next_char()),
            Key::Left => self.go(last_char(self.before())),
            Key::Right => self.go(self.next_char()),
            Key::Home => self.go(0),
            Key::End => self.go(self.line.len()),
            Key::Older => self.recall(History::older),
            Key::Newer => self.recall(History::newer),
            Key::EraseBefore => self.erase(0, self.at),
            Key::EraseBehind => self.erase(self.at, self.line.len()),
            Key::EraseWord => self.erase(last_word(self.before()), self.at),
            Key::Search => self.search = Some(Search::default()),
            Key::Complete => return Edit::Complete,
            Key::Clear => {
                // The window may have another size by now.
                if self.at_terminal() {
                    self.display.ask_width();
                }
                return Edit::Clear;
            }
            // The answer to a question of the display's, which has it already.
            Key::Column(_) => {}
        }
        Edit::None
    }

    /// Inserts bytes at the cursor.
    pub(crate) fn insert(&mut self, bytes: &[u8]) {
        // The room was reserved at the start.
        if self.too_long || self.line.len() + bytes.len() > self.line.capacity().min(LINE) {
            self.too_long = true;
            return;
        }
        for byte in bytes {
            if list::push(&mut self.line, *byte).is_ok()
                && let Some(behind) = self.line.get_mut(self.at..)
            {
                behind.rotate_right(1);
                self.at += 1;
            }
        }
    }

    fn finish(&mut self) -> Edit {
        self.end(b"\n");
        if self.too_long {
            return Edit::TooLong;
        }
        self.history.add(&self.line);
        Edit::Line
    }

    /// Shows the whole line, followed by `last`.
    fn end(&mut self, last: &[u8]) {
        self.at = self.line.len();
        self.show();
        self.history.rewind();
        self.display.print(last);
    }

    /// Moves the cursor. In a line that is too long it stays, since the rest isn't stored.
    fn go(&mut self, at: usize) {
        if !self.too_long {
            self.at = at;
        }
    }

    /// Erases from `from` to `to`. A line that is too long can only be erased as a whole.
    fn erase(&mut self, from: usize, to: usize) {
        if self.too_long && from > 0 {
            return;
        }
        self.too_long = false;
        if from <= to && to <= self.line.len() {
            self.line.drain(from..to);
            self.at = from;
        }
    }

    /// Replaces the line with one from the history.
    fn recall(&mut self, which: fn(&mut History, &[u8]) -> Option<Vec<u8>>) {
        if let Some(line) = which(&mut self.history, &self.line) {
            self.replace(&line);
        }
    }

    fn replace(&mut self, line: &[u8]) {
        self.erase(0, self.line.len());
        self.insert(line);
    }

    /// Handles a key during a search; returns whether the search consumed it. Any key that it
    /// doesn't know accepts the line found.
    fn searches(&mut self, key: Key) -> bool {
        let taken = self.search.as_mut().is_some_and(|search| search.take(key, &self.history));
        if !taken
            && let Some(search) = self.search.take()
            && let Some(line) = search.found(&self.history).and_then(copy)
        {
            self.replace(&line);
        }
        taken
    }

    /// The end of the character at the cursor.
    fn next_char(&self) -> usize {
        let behind = self.line.iter().enumerate().skip(self.at + 1);
        let mut starts = behind.filter(|(_, byte)| starts_char(**byte));
        starts.next().map_or(self.line.len(), |(at, _)| at)
    }

    /// Updates the display. If memory runs out, it stays out of date.
    fn show(&mut self) {
        let mut wanted = Vec::new();
        let (made, at) = match &self.search {
            None => (list::extend(&mut wanted, self.line.iter().copied()), self.at),
            Some(search) => (list::extend(&mut wanted, search.shown(&self.history)), usize::MAX),
        };
        if made.is_ok() {
            self.display.show(wanted, at);
        }
    }
}

/// The start of the last word, including the blanks after it.
fn last_word(line: &[u8]) -> usize {
    let blank = line.trim_ascii_end().iter().rposition(|byte| *byte == b' ');
    blank.map_or(0, |blank| blank + 1)
}

#[cfg(test)]
mod tests;
