// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a terminal shows of the line being typed.
//!
//! Until an escape sequence was received, the output is plain text, whatever the input: the cursor
//! moves left by backspaces and right by reprinting, and a program at the other end sees only text.
//! After that, the terminal is asked for its width, so that a line may take several rows. A
//! terminal that doesn't answer is treated as before. An update prints what differs, once for
//! everything typed in the meantime.

use alloc::vec::Vec;
use core::fmt::Write;
use core::mem;
use core::num::NonZeroUsize;

use drivers::list;

use crate::text::Text;

/// Asks for the width: saves the cursor, goes far to the right, asks where that is, and goes back.
const ASK_WIDTH: &[u8] = b"\x1b7\x1b[999C\x1b[6n\x1b8";
/// The least width that is believed.
const NARROWEST: usize = 8;

/// The text displayed after the prompt, and the output that displays it.
#[derive(Debug, Default)]
pub(crate) struct Display {
    shown: Vec<u8>,
    /// The cursor's position in `shown`.
    at: usize,
    /// The columns that the prompt takes.
    prompt: usize,
    /// The terminal's width in columns, if it has told us.
    width: Option<NonZeroUsize>,
    /// Whether it was asked, and has not answered yet.
    asked: bool,
    /// Pending output.
    pub(crate) output: Vec<u8>,
}

impl Display {
    /// Starts after a new prompt of so many columns, where nothing is displayed yet.
    pub(crate) fn begin(&mut self, prompt: usize) {
        self.shown.clear();
        (self.at, self.prompt) = (0, prompt);
    }

    /// Asks the terminal for its width.
    pub(crate) fn ask_width(&mut self) {
        self.asked = true;
        self.print(ASK_WIDTH);
    }

    /// Takes the terminal's answer. Without a question, it was some key.
    pub(crate) fn set_width(&mut self, width: usize) {
        let width = NonZeroUsize::new(width).filter(|width| width.get() >= NARROWEST);
        if mem::take(&mut self.asked)
            && let Some(width) = width
        {
            self.width = Some(width);
            if self.at == self.shown.len() {
                self.leave_margin(width, self.prompt + columns(&self.shown, 0));
            }
        }
    }

    /// Goes to the next row if the cursor, `end` columns from the start of the prompt, is behind a
    /// row's last character: the terminal would go there only with the next one.
    fn leave_margin(&mut self, width: NonZeroUsize, end: usize) {
        if end > 0 && end % width == 0 {
            self.print(b" \x08");
        }
    }

    /// Displays this text, with the cursor at byte `at`, or at its end.
    pub(crate) fn show(&mut self, wanted: Vec<u8>, at: usize) {
        let at = at.min(wanted.len());
        let old = mem::take(&mut self.shown);
        let same = common(&old, &wanted);
        self.step(&old, self.at, same);
        let more = wanted.get(same..).unwrap_or_default();
        self.print(more);
        let left = columns(&old, same).saturating_sub(columns(&wanted, same));
        match self.width {
            Some(width) => {
                if !more.is_empty() {
                    self.leave_margin(width, self.prompt + columns(&wanted, 0));
                }
                if left > 0 {
                    self.print(b"\x1b[J");
                }
            }
            None => {
                self.repeat(b' ', left);
                self.repeat(b'\x08', left);
            }
        }
        self.step(&wanted, wanted.len(), at);
        (self.shown, self.at) = (wanted, at);
    }

    /// Moves the displayed cursor within the displayed text.
    fn step(&mut self, text: &[u8], from: usize, to: usize) {
        if let Some(width) = self.width {
            let all = columns(text, 0);
            let place = |at| self.prompt + all - columns(text, at);
            return self.go(width, place(from), place(to));
        }
        if from < to {
            self.print(text.get(from..to).unwrap_or_default());
        } else {
            self.repeat(b'\x08', columns(text, to) - columns(text, from));
        }
    }

    /// Moves the cursor between two places, counted in columns from the start of the prompt.
    fn go(&mut self, width: NonZeroUsize, from: usize, to: usize) {
        if from == to {
            return;
        }
        let row: &[u8] = if to < from { b"\x1b[A" } else { b"\x1b[B" };
        for _ in 0..(from / width).abs_diff(to / width) {
            self.print(row);
        }
        let mut column = Text::new();
        // If memory runs out, the cursor is displayed elsewhere.
        let _ = write!(column, "\x1b[{}G", to % width + 1);
        self.print(column.as_str().as_bytes());
    }

    fn repeat(&mut self, byte: u8, times: usize) {
        for _ in 0..times {
            self.print(&[byte]);
        }
    }

    pub(crate) fn print(&mut self, bytes: &[u8]) {
        // If memory runs out, the line is still right, but not displayed.
        let _ = list::extend(&mut self.output, bytes.iter().copied());
    }
}

/// Whether a byte of UTF-8 is the first of its character.
pub(crate) fn starts_char(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Whether the last character is complete, or can't become so.
pub(crate) fn is_whole(text: &[u8]) -> bool {
    let last = text.get(last_char(text)..).unwrap_or_default();
    let len = match last.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    last.len() >= len || text.is_empty()
}

/// The number of columns that the characters from `from` on take.
pub(crate) fn columns(text: &[u8], from: usize) -> usize {
    text.iter().skip(from).filter(|byte| starts_char(**byte)).count()
}

/// The length of the common prefix in bytes, ending at a character boundary in both.
fn common(one: &[u8], other: &[u8]) -> usize {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let starts = |at: &usize| {
        [one, other].iter().all(|text| text.get(*at).is_none_or(|byte| starts_char(*byte)))
    };
    (0..=same).rev().find(starts).unwrap_or(0)
}

/// The start of the last character.
pub(crate) fn last_char(line: &[u8]) -> usize {
    line.iter().rposition(|byte| starts_char(*byte)).unwrap_or(0)
}
