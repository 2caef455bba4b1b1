// SPDX-License-Identifier: MIT OR Apache-2.0
//! A list of places, each with the reason why nothing happens there, and its comparison with an
//! image.
//!
//! Each place is one line, `file | source line | reason`, separated by ` | `; comments start with
//! `#`. A source line that occurs several times in its file, or contains several such places, is
//! listed as often. The reason `?` means that nobody has given one yet.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

const BETWEEN: &str = " | ";

/// A place in one of our files, known by the line's text, so that it may move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: String,
    pub text: String,
    /// The current line number.
    pub line: u32,
}

/// How often each file's lines are listed.
#[derive(Debug)]
pub struct List {
    counts: BTreeMap<(String, String), usize>,
    unargued: usize,
}

impl List {
    pub fn parse(text: &str) -> Result<Self> {
        let mut list = Self { counts: BTreeMap::new(), unargued: 0 };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts = line.split_once(BETWEEN).and_then(|(file, rest)| {
                let (text, reason) = rest.rsplit_once(BETWEEN)?;
                (!reason.trim().is_empty()).then_some((file, text, reason))
            });
            let (file, text, reason) = parts.with_context(|| format!("no reason: {line}"))?;
            *list.counts.entry((file.to_owned(), text.to_owned())).or_default() += 1;
            list.unargued += usize::from(reason == "?");
        }
        Ok(list)
    }

    /// Fails with the lines to add and to remove, or if more than `unargued` entries lack a reason.
    pub fn compare(mut self, found: &[Place], unargued: usize) -> Result<()> {
        let mut wrong = Vec::new();
        for Place { file, text, line } in found {
            match self.counts.get_mut(&(file.clone(), text.clone())) {
                Some(left) if *left > 0 => *left -= 1,
                _ => wrong.push(format!("new, line {line}: {file}{BETWEEN}{text}{BETWEEN}?")),
            }
        }
        for ((file, text), left) in self.counts {
            wrong.extend((0..left).map(|_| format!("gone: {file}{BETWEEN}{text}")));
        }
        if !wrong.is_empty() {
            bail!("{} lines differ\n    {}", wrong.len(), wrong.join("\n    "));
        }
        ensure!(self.unargued <= unargued, "{} lines have no reason", self.unargued);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# remark\n\na.rs | x[0] | never empty\nb.rs | f(|x| x | y) | why\n";

    fn place(file: &str, text: &str) -> Place {
        Place { file: file.into(), text: text.into(), line: 7 }
    }

    fn both() -> [Place; 2] {
        [place("a.rs", "x[0]"), place("b.rs", "f(|x| x | y)")]
    }

    fn difference(list: &str, found: &[Place]) -> String {
        List::parse(list).unwrap().compare(found, 0).unwrap_err().to_string()
    }

    #[test]
    fn the_order_of_places_does_not_matter() {
        let [a, b] = both();
        List::parse(LIST).unwrap().compare(&[b, a], 0).unwrap();
    }

    #[test]
    fn a_new_place_fails_with_the_line_for_the_list() {
        let [a, b] = both();
        let said = difference(LIST, &[a, b, place("a.rs", "x[1]")]);
        assert_eq!(said, "1 lines differ\n    new, line 7: a.rs | x[1] | ?");
    }

    #[test]
    fn the_same_line_once_more_is_new() {
        let [a, b] = both();
        assert!(difference(LIST, &[a.clone(), b, a]).contains("new, line 7: a.rs | x[0] | ?"));
    }

    #[test]
    fn a_listed_line_that_is_gone_fails() {
        let [a, _] = both();
        assert_eq!(difference(LIST, &[a]), "1 lines differ\n    gone: b.rs | f(|x| x | y)");
    }

    #[test]
    fn every_line_has_a_reason_or_a_counted_question_mark() {
        assert!(List::parse("a.rs | x[0]\n").is_err());
        assert!(List::parse("a.rs | x[0] |  \n").is_err());
        let asked = || List::parse("a.rs | x[0] | ?\n").unwrap();
        asked().compare(&[place("a.rs", "x[0]")], 1).unwrap();
        let said = asked().compare(&[place("a.rs", "x[0]")], 0).unwrap_err().to_string();
        assert_eq!(said, "1 lines have no reason");
    }
}
