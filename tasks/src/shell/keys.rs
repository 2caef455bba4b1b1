// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decodes keys from the bytes that a terminal sends.
//!
//! Unknown escape sequences are skipped as a whole. An ESC that starts no sequence is ignored, and
//! the next byte is a key of its own.

/// What Ctrl-C sends.
pub(crate) const CTRL_C: u8 = 3;

const CTRL_A: u8 = 0x01;
const CTRL_B: u8 = 0x02;
const CTRL_D: u8 = 0x04;
const CTRL_E: u8 = 0x05;
const CTRL_F: u8 = 0x06;
const BACKSPACE: u8 = 0x08;
const CTRL_K: u8 = 0x0b;
const CTRL_L: u8 = 0x0c;
const CTRL_N: u8 = 0x0e;
const CTRL_P: u8 = 0x10;
const CTRL_R: u8 = 0x12;
const CTRL_U: u8 = 0x15;
const CTRL_W: u8 = 0x17;
const ESCAPE: u8 = 0x1b;
const DELETE: u8 = 0x7f;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A byte of text.
    Text(u8),
    Enter,
    Interrupt,
    Backspace,
    Delete,
    /// Ctrl-D: deletes, or on an empty line leaves.
    Leave,
    Left,
    Right,
    Home,
    End,
    Older,
    Newer,
    /// Ctrl-U: erases up to the cursor.
    EraseBefore,
    /// Ctrl-K: erases from the cursor on.
    EraseBehind,
    EraseWord,
    Clear,
    Search,
    Complete,
    /// The terminal's answer: the cursor's column, from 1 on.
    Column(usize),
}

/// Progress within an escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    /// After ESC.
    Escape,
    /// After ESC and `[` or `O`, with the first parameter, if it has a single digit.
    Sequence(u8),
    /// In a later parameter, with its value if it is a number.
    Rest(u8, u16),
}

/// Decodes bytes into keys.
#[derive(Debug)]
pub(crate) struct Keys {
    state: State,
    /// Whether the last byte was a CR, so that a following LF belongs to it.
    after_cr: bool,
    /// Whether an escape sequence was ever received: somebody is at a terminal.
    pub(crate) terminal: bool,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { state: State::Plain, after_cr: false, terminal: false }
    }

    /// Takes a byte; returns the key that it completes.
    pub(crate) fn take(&mut self, byte: u8) -> Option<Key> {
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        match (core::mem::replace(&mut self.state, State::Plain), byte) {
            (_, ESCAPE) => self.state = State::Escape,
            (State::Escape, b'[' | b'O') => {
                self.state = State::Sequence(0);
                self.terminal = true;
            }
            (State::Sequence(0), b'0'..=b'9') => self.state = State::Sequence(byte),
            // No known key has a two-digit parameter.
            (State::Sequence(_), b'0'..=b'9') => self.state = State::Sequence(b'?'),
            (State::Rest(first, number), b'0'..=b'9') => {
                let number = number.saturating_mul(10).saturating_add((byte - b'0').into());
                self.state = State::Rest(first, number);
            }
            (State::Sequence(first) | State::Rest(first, _), 0x20..=0x3f) => {
                self.state = State::Rest(first, 0);
            }
            (State::Rest(_, number), b'R') => return Some(Key::Column(number.into())),
            (State::Sequence(first) | State::Rest(first, _), 0x40..=0x7e) => {
                return sequence(first, byte);
            }
            (_, b'\n') if after_cr => {}
            _ => return key(byte),
        }
        None
    }
}

/// The key for an escape sequence with this first parameter and final byte.
fn sequence(first: u8, last: u8) -> Option<Key> {
    Some(match (last, first) {
        (b'A', _) => Key::Older,
        (b'B', _) => Key::Newer,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b'1' | b'7') => Key::Home,
        (b'F', _) | (b'~', b'4' | b'8') => Key::End,
        (b'~', b'3') => Key::Delete,
        _ => return None,
    })
}

/// The key for a single byte.
fn key(byte: u8) -> Option<Key> {
    Some(match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Complete,
        CTRL_A => Key::Home,
        CTRL_B => Key::Left,
        CTRL_C => Key::Interrupt,
        CTRL_D => Key::Leave,
        CTRL_E => Key::End,
        CTRL_F => Key::Right,
        BACKSPACE | DELETE => Key::Backspace,
        CTRL_K => Key::EraseBehind,
        CTRL_L => Key::Clear,
        CTRL_N => Key::Newer,
        CTRL_P => Key::Older,
        CTRL_R => Key::Search,
        CTRL_U => Key::EraseBefore,
        CTRL_W => Key::EraseWord,
        ..=0x1f => return None,
        _ => Key::Text(byte),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::new();
        bytes.iter().filter_map(|byte| keys.take(*byte)).collect()
    }

    #[test]
    fn each_terminals_sequence_is_its_key() {
        assert_eq!(keys(b"\x1b[A\x1bOA\x1b[1;5A"), [Key::Older; 3]);
        assert_eq!(keys(b"\x1b[H\x1bOH\x1b[1~\x1b[7~\x01"), [Key::Home; 5]);
        assert_eq!(keys(b"\x1b[F\x1b[4~\x1b[8~\x1b[4;2~"), [Key::End; 4]);
        assert_eq!(keys(b"\x1b[3~\x1b[3;5~"), [Key::Delete; 2]);
    }

    #[test]
    fn what_means_nothing_is_swallowed_whole() {
        assert_eq!(keys(b"\x1b[15~\x1b[200~\x1bOP\x1b[?25h\x1b[31~\x00\x1c"), []);
        assert_eq!(keys(b"\x1bx"), [Key::Text(b'x')]);
        assert_eq!(keys(b"\x1b\x1b[D"), [Key::Left]);
    }

    #[test]
    fn where_the_cursor_is_comes_as_row_and_column() {
        assert_eq!(keys(b"\x1b[24;80R\x1b[1;7R"), [Key::Column(80), Key::Column(7)]);
        assert_eq!(keys(b"\x1b[9;99999999R"), [Key::Column(65535)]);
        assert_eq!(keys(b"\x1bOR\x1b[R\x1b[24R"), [], "F3");
    }

    #[test]
    fn every_line_end_is_one_enter() {
        assert_eq!(keys(b"\r\n\n\r\r\n"), [Key::Enter; 4]);
    }
}
