// SPDX-License-Identifier: MIT OR Apache-2.0
//! The editor at a terminal that obeys it, of any width.

use super::*;
use crate::pattern::SplitMix64;
use alloc::format;
use alloc::string::String;

const PROMPT: &str = "grantkit> ";

/// A terminal, with rows as wide as it is and as many as it takes.
struct Screen {
    rows: Vec<Vec<char>>,
    width: usize,
    row: usize,
    column: usize,
    /// Where the cursor was saved.
    saved: (usize, usize),
    /// The answer to a question for the cursor's place.
    answer: String,
}

impl Screen {
    fn new(width: usize) -> Self {
        let (rows, answer) = (Vec::new(), String::new());
        let mut screen = Self { rows, width, row: 0, column: 0, saved: (0, 0), answer };
        screen.print(PROMPT.as_bytes());
        screen
    }

    fn print(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\x08' => self.column = self.column.checked_sub(1).expect("left of the line"),
                '\r' => self.column = 0,
                '\x1b' => self.sequence(&mut chars),
                char => self.put(char),
            }
        }
    }

    fn put(&mut self, char: char) {
        // Behind the last character of a row until there is another.
        if self.column == self.width {
            (self.row, self.column) = (self.row + 1, 0);
        }
        self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = char;
        self.column += 1;
    }

    fn sequence(&mut self, chars: &mut core::str::Chars<'_>) {
        let first = chars.next().unwrap();
        if first != '[' {
            match first {
                '7' => self.saved = (self.row, self.column),
                _ => (self.row, self.column) = self.saved,
            }
            return;
        }
        let mut number = String::new();
        let last = loop {
            match chars.next().unwrap() {
                digit @ '0'..='9' => number.push(digit),
                last => break last,
            }
        };
        let number: usize = number.parse().unwrap_or(1);
        match last {
            'A' => self.row = self.row.checked_sub(number).expect("above the screen"),
            'B' => {
                self.row += number;
                assert!(self.row < self.rows.len(), "below the line");
            }
            'G' => self.column = number - 1,
            'C' => self.column = (self.column + number).min(self.width - 1),
            'J' => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].truncate(self.column);
            }
            'n' => self.answer = format!("\x1b[{};{}R", self.row + 1, self.column + 1),
            other => panic!("{other}"),
        }
    }

    /// All that is displayed behind the prompt.
    fn text(&self) -> String {
        let mut text: String = self.rows.iter().flatten().collect();
        text.drain(..PROMPT.len());
        text.trim_end().into()
    }

    /// The cursor's place, counted from the prompt's end.
    fn at(&self) -> usize {
        self.row * self.width + self.column - PROMPT.len()
    }
}

/// Types these keys; returns the effect of the last one.
fn take(editor: &mut Editor, keys: &str) -> Edit {
    keys.bytes().fold(Edit::None, |_, byte| editor.take(byte))
}

fn typed(keys: &str) -> Editor {
    let mut editor = Editor::new().unwrap();
    editor.begin(PROMPT);
    take(&mut editor, keys);
    editor
}

#[test]
fn the_cursor_goes_where_it_is_sent() {
    for (keys, line) in [
        ("slep 1\x1b[D\x1b[D\x1b[D\x1b[De", "sleep 1"),
        ("leep 1\x1b[Hs", "sleep 1"),
        ("leep\x01s\x05 1", "sleep 1"),
        ("sleep 12345\x1b[D\x1b[D\x1b[D\x0b", "sleep 12"),
        ("xsleep 1\x01\x1b[3~", "sleep 1"),
        ("xsleep 1\x01\x04", "sleep 1"),
        ("sleep 21\x1b[D\x7f\x06\x7f1", "sleep 1"),
        ("nonsense sleep 1\x02\x02\x02\x02\x02\x02\x02\x15", "sleep 1"),
        ("\x1b[D\x1b[C\x1b[3~\x7f\x0bsleep 1\x1b[C", "sleep 1"),
    ] {
        assert_eq!(str::from_utf8(typed(keys).line()), Ok(line), "{keys:?}");
    }
}

/// Types `first`, and then at random, at a terminal of this width, which answers questions
/// unless it is `dumb`. Checks what it shows in the end.
fn type_at_random(numbers: &mut SplitMix64, first: &str, width: usize, dumb: bool) {
    const KEYS: [&str; 20] = [
        "a", "b", " ", "\u{fc}", "\u{20ac}", "\x1b[D", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F",
        "\x7f", "\x1b[3~", "\x0b", "\x15", "\x17", "\x1b[A", "\x1b[B", "\x1b", "cde fg", "h",
    ];
    let (mut editor, mut screen) = (Editor::new().unwrap(), Screen::new(width));
    for line in ["earlier one\r", "an earlier line that takes several rows of a screen\r"] {
        take(&mut editor, line);
        editor.begin(PROMPT);
    }
    editor.clear_echo();
    let mut draw = |below: usize| numbers.next().unwrap() as usize % below;
    for round in 0..draw(40) {
        let key = if round == 0 { first } else { KEYS[draw(KEYS.len())] };
        // Byte by byte, as a terminal may send them.
        for byte in key.bytes() {
            editor.take(byte);
            if round == 0 || draw(3) == 0 {
                screen.print(editor.echo());
                editor.clear_echo();
            }
        }
        let answer = core::mem::take(&mut screen.answer);
        if !dumb {
            take(&mut editor, &answer);
        }
    }
    screen.print(editor.echo());
    let line = str::from_utf8(editor.line()).unwrap();
    assert_eq!(screen.text(), line.trim_end(), "{width}");
    assert_eq!(screen.at(), columns(editor.before(), 0), "{width}: {line:?}");
}

#[test]
fn the_screen_shows_the_line_and_the_cursor_whatever_is_typed() {
    let mut numbers = SplitMix64::new(5);
    for round in 0..600 {
        type_at_random(&mut numbers, "a", 1000, round % 2 == 0);
    }
}

#[test]
fn a_terminal_that_tells_its_width_shows_a_line_of_several_rows() {
    let mut numbers = SplitMix64::new(6);
    for width in [20, 33, 40, 61, 62, 80] {
        for first in ["\x1b[C", "\x1b[A"] {
            (0..200).for_each(|_| type_at_random(&mut numbers, first, width, false));
        }
    }
}

#[test]
fn only_an_answer_to_a_question_is_a_width() {
    let home = |keys| {
        let mut editor = typed(&format!("{keys}0123456789 123456789"));
        editor.echo();
        editor.clear_echo();
        editor.take(1);
        String::from_utf8(editor.echo().to_vec()).unwrap()
    };
    assert_eq!(home("\x1b[C\x1b[24;20R"), "\x1b[A\x1b[11G");
    assert_eq!(home("\x1b[C\x1b[24;20R\x1b[24;33R"), "\x1b[A\x1b[11G", "not asked again");
    assert_eq!(home("\x1b[C\x1b[24;80R"), "\x1b[11G");
    for no_width in ["\x1b[C", "\x1b[C\x1b[24;7R", "\x1b[C\x1b[24R", "\x1b[C\x1b[24;80H"] {
        assert_eq!(home(no_width), "\x08".repeat(20), "{no_width:?}");
    }
}

#[test]
fn a_search_shows_what_it_found_and_takes_it() {
    let mut editor = Editor::new().unwrap();
    for line in ["share 2 8\r", "map 1 8\r", "share 3 9\r"] {
        take(&mut editor, line);
        editor.begin(PROMPT);
    }
    editor.clear_echo();
    let mut screen = Screen::new(1000);
    let mut press = |editor: &mut Editor, keys: &str| {
        let last = take(editor, keys);
        screen.print(editor.echo());
        editor.clear_echo();
        (screen.text(), last)
    };
    assert_eq!(press(&mut editor, "\x12sha").0, "(search) sha: share 3 9");
    assert_eq!(press(&mut editor, "\x12").0, "(search) sha: share 2 8");
    assert_eq!(press(&mut editor, "\x12").0, "(search) sha: share 2 8");
    assert_eq!(press(&mut editor, "x").0, "(search) shax:");
    assert_eq!(press(&mut editor, "\x7f\x12\x1b[D").0, "share 2 8");
    assert_eq!(editor.line(), b"share 2 8");
    assert_eq!(press(&mut editor, "\x15\x12map\r").1, Edit::Line);
    assert_eq!(editor.line(), b"map 1 8");
}

#[test]
fn an_empty_line_is_left_by_ctrl_d_and_no_other() {
    let mut editor = typed("x");
    assert_eq!(editor.take(4), Edit::None);
    assert_eq!(editor.take(0x7f), Edit::None);
    assert_eq!(editor.take(4), Edit::Leave);
}
