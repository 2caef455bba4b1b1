// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tab completion of the word before the cursor, based on the command table.

use core::fmt::Write;

use super::command::{Commands, Found};
use super::options::OPTIONS;
use super::words::first_word;
use crate::text::Text;

/// Maximum number of words listed, and of columns per line.
const LISTED: usize = 64;
const WIDTH: usize = 78;

/// Possible completions of the word before the cursor.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    /// The common rest of all candidates; if there is only one, its whole rest and a blank.
    pub(crate) more: Text,
    /// Lines listing the candidates, if there are several without a common rest.
    pub(crate) words: Text,
}

/// Completes the last word of `before`; `ids` are those of existing shares and maps. `None` if
/// memory runs out.
pub(crate) fn complete(
    commands: Commands,
    before: &str,
    ids: &mut dyn Iterator<Item = u64>,
) -> Option<Completion> {
    let (done, typed) = before.rsplit_once(' ').unwrap_or(("", before));
    let count = done.split(' ').filter(|word| !word.is_empty()).count();
    let mut words = Words { typed, count: 0, column: 0, common: Text::new(), listed: Text::new() };
    let names = &mut commands.words();
    let argument = argument(commands, before, count);
    let known: &mut dyn Iterator<Item = &str> = match argument {
        Some("<id>") => {
            for id in ids {
                let mut word = Text::new();
                write!(word, "{id}").ok()?;
                words.add(word.as_str())?;
            }
            return words.end();
        }
        Some("<option>") => &mut OPTIONS.into_iter(),
        Some("[command]") => names,
        Some("[ro]") => &mut ["ro"].into_iter(),
        Some(choice) if choice.contains('|') => &mut choice.split('|'),
        None if count == 0 && !typed.is_empty() => names,
        None if count == 1 => &mut commands.second_words(first_word(before).0),
        _ => &mut [].into_iter(),
    };
    for word in known {
        words.add(word)?;
    }
    words.end()
}

/// The table's name for the argument after `done` complete words; `None` for a word of the command
/// itself.
fn argument(commands: Commands, before: &str, done: usize) -> Option<&'static str> {
    let Found::Command(command, _) = commands.find(before) else {
        return None;
    };
    let place = done.checked_sub(command.name().split(' ').count())?;
    Some(command.arguments().split(' ').nth(place).unwrap_or_default())
}

/// The candidates that begin with what was typed.
struct Words<'a> {
    typed: &'a str,
    count: usize,
    column: usize,
    common: Text,
    listed: Text,
}

impl Words<'_> {
    /// Adds a candidate; `None` if memory runs out.
    fn add(&mut self, word: &str) -> Option<()> {
        let Some(more) = word.strip_prefix(self.typed) else {
            return Some(());
        };
        let common = if self.count == 0 { more } else { common(self.common.as_str(), more) };
        let mut text = Text::new();
        text.write_str(common).ok()?;
        self.common = text;
        self.count += 1;
        if self.count <= LISTED {
            let end = if self.column + word.len() > WIDTH { "\n" } else { "" };
            self.column = if end.is_empty() { self.column } else { 0 } + word.len() + 2;
            let word = if self.count == LISTED { "..." } else { word };
            write!(self.listed, "{end}{word}  ").ok()?;
        }
        Some(())
    }

    fn end(self) -> Option<Completion> {
        let mut more = self.common;
        Some(match self.count {
            0 => Completion::default(),
            1 => {
                more.write_str(" ").ok()?;
                Completion { more, words: Text::new() }
            }
            _ if more.as_str().is_empty() => Completion { more, words: self.listed },
            _ => Completion { more, words: Text::new() },
        })
    }
}

/// The common prefix of two words.
fn common<'a>(one: &str, other: &'a str) -> &'a str {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    other.get(..same.map(|(char, _)| char.len_utf8()).sum()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::table::COMMANDS;
    use alloc::string::String;

    /// What Tab inserts, and what it lists.
    fn tab(before: &str) -> (String, String) {
        let done = complete(COMMANDS, before, &mut [1, 7, 71].into_iter()).unwrap();
        (done.more.as_str().into(), done.words.as_str().trim_end().into())
    }

    fn adds(before: &str) -> String {
        let (more, words) = tab(before);
        assert_eq!(words, "", "{before}");
        more
    }

    #[test]
    fn a_command_is_completed_up_to_where_several_differ() {
        assert_eq!(adds("sha"), "re ");
        assert_eq!(adds("cou"), "nters ");
        assert_eq!(tab("un"), (String::new(), "unmap  unshare".into()));
        assert!(tab("s").1.starts_with("share  sum  state"), "{:?}", tab("s"));
        assert_eq!(tab("stat").1, "state  status");
        assert_eq!(adds("xyzzy"), "");
    }

    #[test]
    fn the_second_word_of_a_command_is_completed_too() {
        assert_eq!(adds("port o"), "ffer ");
        assert_eq!(tab("port ").1, "offer  bind  send  wait  close");
        assert_eq!(adds("demo  m"), "apper ");
        assert_eq!(adds("nonsense x"), "");
    }

    #[test]
    fn arguments_are_what_the_table_calls_them() {
        assert_eq!(tab("unmap ").1, "1  7  71");
        assert_eq!(tab("unmap 7").1, "7  71");
        assert_eq!(adds("unmap 71"), " ");
        assert_eq!(adds("set log"), "level ");
        assert_eq!(tab("set gnt").1, "gntalloc.limit  gntdev.limit");
        assert_eq!(adds("crash st"), "ack ");
        assert_eq!(adds("share 2 8 "), "ro ");
        assert_eq!(adds("map 1 8 r"), "o ");
        assert_eq!(adds("help cr"), "ash ");
        assert_eq!(adds("sleep "), "");
    }

    #[test]
    fn a_tab_on_nothing_is_nothing() {
        assert_eq!(tab(""), (String::new(), String::new()));
        assert_eq!(tab("   "), (String::new(), String::new()));
    }

    #[test]
    fn no_more_words_are_listed_than_a_screen_takes() {
        let done = complete(COMMANDS, "sum ", &mut (1..10_000)).unwrap();
        let words = done.words.as_str();
        assert_eq!(words.split_whitespace().count(), LISTED);
        assert!(words.lines().all(|line| line.len() <= 80), "{words:?}");
    }
}
