// SPDX-License-Identifier: MIT OR Apache-2.0
//! How lines look on a terminal: wrapped to its width, with colour if it has any.
//!
//! Anywhere else, in a pipe or a file, lines are written as they are. `NO_COLOR` and `TERM=dumb`
//! are honoured (by crate `console`).

use std::io::{self, Write};

use console::{Style, Term};

/// The greatest width that lines are wrapped to, even if the terminal is wider.
const WIDTH: usize = 80;
/// The least width that lines are wrapped to, however narrow the terminal is.
const NARROWEST: usize = 20;

/// Writes one line; ignores errors, since the reader may be gone.
pub fn write(line: &str) {
    let term = Term::stdout();
    let mut out = io::stdout().lock();
    if !term.is_term() {
        return drop(writeln!(out, "{line}"));
    }
    let width = usize::from(term.size().1).clamp(NARROWEST, WIDTH);
    for line in wrapped(line, width) {
        let _ = writeln!(out, "{}", painted(&line));
    }
}

/// Whether the output is a terminal.
pub fn is_terminal() -> bool {
    Term::stdout().is_term()
}

/// Wraps `text` to lines of at most `width` characters, broken at blanks. Continuation lines are
/// indented by two more than the first. A word that is too long stays whole.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut rest = line.to_owned();
        while let Some(at) = break_at(&rest, width) {
            let behind = rest.split_off(at);
            lines.push(rest);
            rest = format!("{:1$}{2}", "", indent + 2, behind.trim_start());
        }
        lines.push(rest);
    }
    lines
}

/// Where to break a line if it is too wide: at the last blank that fits, or else at the first.
fn break_at(line: &str, width: usize) -> Option<usize> {
    if line.chars().count() <= width {
        return None;
    }
    let start = line.len() - line.trim_start().len();
    let blanks = line.char_indices().enumerate();
    let blanks = blanks.filter(|(_, (at, char))| *char == ' ' && *at > start);
    let (fit, over): (Vec<_>, Vec<_>) = blanks.partition(|(column, _)| *column <= width);
    fit.last().or(over.first()).map(|(_, (at, _))| *at)
}

/// Colours the line's verdict.
fn painted(line: &str) -> String {
    let word = |word: &str, style: Style| {
        let at = line.find(word)?;
        let before = line.get(..at)?;
        // The verdict comes first on the line, or after the step's number and name.
        let first = before.trim().is_empty() || before.trim().starts_with(|c: char| c.is_numeric());
        let (word, after) = line.get(at..)?.split_at(word.len());
        first.then(|| format!("{before}{}{after}", style.apply_to(word)))
    };
    let good = || Style::new().green();
    word("FAILED", Style::new().red().bold())
        .or_else(|| word("ok:", good()))
        .or_else(|| word("passed ", good()))
        .or_else(|| word("ready ", good()))
        .or_else(|| Some(format!("{}{}", line.strip_suffix(" ok")?, good().apply_to(" ok"))))
        .unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_at_blanks_and_continues_indented() {
        let line = "    ok: maps more than it was offered: 4 pages and one more";
        let wrapped = wrapped(line, 40);
        assert_eq!(
            wrapped,
            ["    ok: maps more than it was offered: 4", "      pages and one more"]
        );
    }

    #[test]
    fn no_line_is_wider_than_its_terminal_and_no_word_is_lost() {
        let text = "one two three four five six seven eight nine ten eleven twelve thirteen";
        for width in NARROWEST..WIDTH {
            let lines = wrapped(text, width);
            assert!(lines.iter().all(|line| line.len() <= width), "{lines:?}");
            let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            assert_eq!(words, text.split(' ').collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_word_that_is_too_long_stays_whole() {
        let long = "x".repeat(30);
        assert_eq!(wrapped(&format!("{long} y"), 20), [long.clone(), "  y".to_owned()]);
        assert_eq!(wrapped(&format!("    {long}"), 20), [format!("    {long}")]);
        assert_eq!(wrapped("", 20), [""; 0]);
    }

    #[test]
    fn only_verdicts_are_painted() {
        console::set_colors_enabled(true);
        assert!(painted("        ok: a check (0.1 s)").contains("\u{1b}[32mok:"));
        assert!(painted("  1 share FAILED: why").contains("\u{1b}[31m"));
        assert!(painted("  1 share    64 pages rw  ok").ends_with("\u{1b}[32m ok\u{1b}[0m"));
        for plain in ["what passed is told", "the guest FAILED", "tier    smoke"] {
            assert_eq!(painted(plain), plain);
        }
    }
}
