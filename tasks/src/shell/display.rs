// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a terminal shows of the line being typed. Its output is plain text, whatever the input.
//!
//! The cursor moves left by backspaces and right by reprinting, so no escape sequences are needed
//! and a program at the other end sees only text. An update prints what differs, once for
//! everything typed in the meantime.

use alloc::vec::Vec;
use core::mem;

use drivers::list;

/// The text displayed after the prompt, and the output that displays it.
#[derive(Debug, Default)]
pub(crate) struct Display {
    shown: Vec<u8>,
    /// The cursor's position in `shown`.
    at: usize,
    /// Pending output.
    pub(crate) output: Vec<u8>,
}

impl Display {
    /// Starts after a new prompt, where nothing is displayed yet.
    pub(crate) fn begin(&mut self) {
        self.shown.clear();
        self.at = 0;
    }

    /// Displays this text, with the cursor at byte `at`, or at its end.
    pub(crate) fn show(&mut self, wanted: Vec<u8>, at: usize) {
        let at = at.min(wanted.len());
        let old = mem::take(&mut self.shown);
        let same = common(&old, &wanted);
        self.step(&old, self.at, same);
        self.print(wanted.get(same..).unwrap_or_default());
        let left = columns(&old, same).saturating_sub(columns(&wanted, same));
        self.repeat(b' ', left);
        self.repeat(b'\x08', left);
        self.step(&wanted, wanted.len(), at);
        (self.shown, self.at) = (wanted, at);
    }

    /// Moves the displayed cursor within the displayed text.
    fn step(&mut self, text: &[u8], from: usize, to: usize) {
        if from < to {
            self.print(text.get(from..to).unwrap_or_default());
        } else {
            self.repeat(b'\x08', columns(text, to) - columns(text, from));
        }
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
