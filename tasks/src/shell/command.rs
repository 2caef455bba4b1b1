// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds commands by name, or suggests similar names.

use core::fmt::{self, Write};

use drivers::Errno;

use super::reply::Failure;
use super::table::Which;
use super::words::first_word;
use crate::text::{Quoted, Text};

/// A command, as help shows it.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its group, name, arguments, description and an example, one line each. Pointers to five
    /// texts would take 3 KiB more of the image.
    pub(crate) text: &'static str,
    /// What runs it.
    pub(crate) which: Which,
}

impl Command {
    /// Its topic, in one word.
    pub(crate) fn group(&self) -> &'static str {
        self.line(0)
    }

    /// The word or words before the arguments.
    pub(crate) fn name(&self) -> &'static str {
        self.line(1)
    }

    /// The arguments.
    pub(crate) fn arguments(&self) -> &'static str {
        self.line(2)
    }

    /// What it does, in a few words.
    pub(crate) fn about(&self) -> &'static str {
        self.line(3)
    }

    /// An example line.
    pub(crate) fn example(&self) -> &'static str {
        self.line(4)
    }

    fn line(&self, place: usize) -> &'static str {
        self.text.split('\n').nth(place).unwrap_or_default()
    }
}

/// How to use it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if !self.arguments().is_empty() {
            write!(f, " {}", self.arguments())?;
        }
        Ok(())
    }
}

/// What the first words of a line mean.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A command, and the rest of the line.
    Command(&'static Command, &'a str),
    /// The first word of several commands, without a valid second word.
    Group(&'static str),
    /// A word that is no command.
    Unknown(&'a str),
}

/// What people type when they don't know what to type.
const HELP: &str = "?";

/// All commands, in the order in which help lists them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commands(pub(crate) &'static [Command]);

impl Commands {
    /// Finds the command of a line.
    pub(crate) fn find(self, line: &str) -> Found<'_> {
        let (first, after_first) = first_word(line);
        let first = if first == HELP { "help" } else { first };
        let (second, after_second) = first_word(after_first);
        let mut group = None;
        for command in self.0 {
            match command.name().split_once(' ') {
                None if command.name() == first => return Found::Command(command, after_first),
                Some((one, two)) if one == first => {
                    if two == second {
                        return Found::Command(command, after_second);
                    }
                    group = Some(one);
                }
                _ => {}
            }
        }
        group.map_or(Found::Unknown(first), Found::Group)
    }

    /// The first words of all commands, each once.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        let mut last = "";
        self.0
            .iter()
            .map(|command| first_word(command.name()).0)
            .filter(move |word| core::mem::replace(&mut last, word) != *word)
    }

    /// The second words of the commands that begin with `first`.
    pub(crate) fn second_words(self, first: &str) -> impl Iterator<Item = &'static str> {
        let second = move |name: &'static str| {
            name.split_once(' ').filter(|(one, _)| *one == first).map(|(_, second)| second)
        };
        self.0.iter().filter_map(move |command| second(command.name()))
    }

    /// The groups, each once.
    pub(crate) fn groups(self) -> impl Iterator<Item = &'static str> {
        let mut last = "";
        let groups = self.0.iter().map(|command| command.group());
        groups.filter(move |group| core::mem::replace(&mut last, group) != *group)
    }

    /// A line with the commands of a group. Of commands with the same first word, only the second
    /// words are repeated, separated by `|`.
    pub(crate) fn write_group(self, to: &mut dyn Write, group: &str) -> fmt::Result {
        write!(to, "  {group:<9}")?;
        let mut last = "";
        for command in self.0.iter().filter(|command| command.group() == group) {
            match command.name().split_once(' ') {
                Some((first, second)) if first == last => write!(to, "|{second}")?,
                _ => write!(to, " {}", command.name())?,
            }
            last = first_word(command.name()).0;
        }
        to.write_str("\n")
    }

    /// Command words that may have been meant by `word`, the nearest first.
    fn near(self, word: &str) -> impl Iterator<Item = &'static str> {
        let at = move |wanted| self.words().filter(move |known| distance(word, known) == wanted);
        (1..=2).flat_map(at)
    }

    /// ENOSYS for a word that is no command, with similar words.
    pub(crate) fn unknown(self, word: &str) -> Failure {
        let mut words = Text::new();
        let mut told = write!(words, "no such command");
        for (place, near) in self.near(word).enumerate() {
            let joint = if place == 0 { "; did you mean" } else { "," };
            told = told.and_then(|()| write!(words, "{joint} {near}"));
        }
        match told {
            Ok(()) => {
                Failure::new(Errno::ENOSYS, format_args!("{}; help lists all", words.as_str()))
            }
            Err(error) => error.into(),
        }
    }

    /// EINVAL for the first word of two-word commands, without a valid second word.
    pub(crate) fn not_in_group(self, word: &str) -> Failure {
        let mut words = Text::new();
        let group = |name: &&str| name.split_once(' ').is_some_and(|(one, _)| one == word);
        let mut told = write!(words, "the commands of this word are");
        for name in self.0.iter().map(|command| command.name()).filter(group) {
            told = told.and_then(|()| write!(words, " {}", Quoted(name)));
        }
        match told {
            Ok(()) => Failure::invalid(format_args!("{}", words.as_str())),
            Err(error) => error.into(),
        }
    }
}

/// The edit distance: the number of characters to change, add or remove. Words of more than 16
/// bytes are far from everything.
fn distance(word: &str, known: &str) -> usize {
    const LONGEST: usize = 16;
    if word.len() > LONGEST || known.len() > LONGEST {
        return usize::MAX;
    }
    // Without the first column, which in line n holds n.
    let mut row: [usize; LONGEST] = core::array::from_fn(|column| column + 1);
    let mut last = known.len();
    for (line, a) in word.bytes().enumerate() {
        let mut diagonal = line;
        last = line + 1;
        for (place, b) in row.iter_mut().zip(known.bytes()) {
            let changed = diagonal + usize::from(a != b);
            diagonal = *place;
            *place = changed.min(last + 1).min(diagonal + 1);
            last = *place;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const fn named(text: &'static str) -> Command {
        Command { text, which: Which::help }
    }

    const SOME: Commands = Commands(&[
        named("\nshare"),
        named("\nmap"),
        named("\nstate"),
        named("\nunshare"),
        named("\nport offer"),
        named("\nport bind"),
        named("\nstatus"),
        named("\nset"),
    ]);

    #[test]
    fn a_word_that_is_nearly_a_command_finds_it() {
        let near = |word| SOME.near(word).collect::<Vec<_>>();
        assert_eq!(near("shre"), ["share"]);
        assert_eq!(near("maps"), ["map"]);
        assert_eq!(near("unshared"), ["unshare"]);
        assert_eq!(near("stat"), ["state", "status", "set"]);
        assert!(near("xyzzy").is_empty());
        assert!(near(&"x".repeat(8000)).is_empty());
    }

    #[test]
    fn a_command_of_two_words_is_found_by_both() {
        let Found::Command(command, "1") = SOME.find("port  offer 1") else {
            panic!("it is not found");
        };
        assert_eq!(command.name(), "port offer");
        assert!(matches!(SOME.find("port"), Found::Group("port")));
        assert!(matches!(SOME.find("port shut 1"), Found::Group("port")));
        assert!(matches!(SOME.find("vchan cat"), Found::Unknown("vchan")));
    }
}
