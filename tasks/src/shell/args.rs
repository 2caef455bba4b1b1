// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command's arguments, taken one by one.
//!
//! Nothing is guessed: a missing, extra or malformed argument, including an overflow, is EINVAL
//! with words that name the input and what would be right.

use drivers::{Access, DomId};

use super::command::Command;
use super::reply::{Done, Failure};
use super::words::{BLANKS, first_word, number};
use crate::text::Quoted;

/// The remaining arguments.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    command: &'static Command,
    rest: &'a str,
    /// The domain whose name the first word is.
    named: Option<DomId>,
}

impl<'a> Args<'a> {
    pub(crate) fn new(command: &'static Command, rest: &'a str) -> Self {
        Self { command, rest, named: None }
    }

    /// The first word, if it is the name of a domain: where one's number is asked for, whatever
    /// begins with a letter.
    pub(crate) fn name(&self) -> Option<&'a str> {
        let first = self.command.arguments().trim_start_matches(['<', '[']);
        let asked = first.starts_with("domid") || first.starts_with("peer");
        let (word, _) = first_word(self.rest);
        word.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(word).filter(|_| asked)
    }

    /// Says which domain that is.
    pub(crate) fn set_named(&mut self, domid: DomId) {
        self.named = Some(domid);
    }

    /// The next word, if there is one.
    pub(crate) fn optional(&mut self) -> Option<&'a str> {
        let (word, rest) = first_word(self.rest);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// The next word.
    pub(crate) fn word(&mut self, what: &str) -> Result<&'a str, Failure> {
        let missing = self.wrong(format_args!("{what} is missing"));
        self.optional().ok_or(missing)
    }

    /// The rest of the line, at least one character.
    pub(crate) fn rest_of_line(&mut self, what: &str) -> Result<&'a str, Failure> {
        let rest = core::mem::take(&mut self.rest).trim_start_matches(BLANKS);
        if rest.is_empty() {
            return Err(self.wrong(format_args!("{what} is missing")));
        }
        Ok(rest)
    }

    /// Fails if an argument is left.
    pub(crate) fn end(&mut self) -> Done {
        match self.optional() {
            None => Ok(()),
            Some(extra) => Err(self.wrong(format_args!("{} is too much", Brief(extra)))),
        }
    }

    /// The next word as a number that fits the type.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Failure> {
        let word = self.word(what)?;
        self.parse(what, word)
    }

    /// The same, for an optional word.
    pub(crate) fn optional_number<T: TryFrom<u64>>(
        &mut self,
        what: &str,
    ) -> Result<Option<T>, Failure> {
        let word = self.optional();
        word.map(|word| self.parse(what, word)).transpose()
    }

    /// A word of this command as a number that fits the type.
    pub(crate) fn parse<T: TryFrom<u64>>(&self, what: &str, word: &str) -> Result<T, Failure> {
        let number = number(word).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            let bits = 8 * size_of::<T>();
            self.wrong(format_args!(
                "{what} {} is no number of {bits} bits, decimal or 0x-hex",
                Brief(word)
            ))
        })
    }

    /// The next word as the number of a domain.
    pub(crate) fn domid(&mut self) -> Result<DomId, Failure> {
        let word = self.word("<domid>")?;
        self.domid_from(word)
    }

    /// A word as the number of a domain.
    pub(crate) fn domid_from(&self, word: &str) -> Result<DomId, Failure> {
        if let Some(named) = self.named {
            return Ok(named);
        }
        DomId::new(self.parse("<domid>", word)?).ok_or_else(|| {
            self.wrong(format_args!(
                "<domid> {} is a reserved number; domains have 0 to 32751",
                Brief(word)
            ))
        })
    }

    /// The last argument, `ro` or nothing.
    pub(crate) fn access(&mut self) -> Result<Access, Failure> {
        let access = match self.optional() {
            None => Access::ReadWrite,
            Some("ro") => Access::ReadOnly,
            Some(other) => {
                return Err(self.wrong(format_args!("{} is not \"ro\"", Brief(other))));
            }
        };
        self.end()?;
        Ok(access)
    }

    /// EINVAL with `words`, and with how to use the command.
    pub(crate) fn wrong(&self, words: core::fmt::Arguments<'_>) -> Failure {
        Failure::invalid(format_args!("{words}; usage: {}", self.command))
    }
}

/// Input quoted in an error, cut after 40 characters.
struct Brief<'a>(&'a str);

impl core::fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const MANY: usize = 40;
        let cut = self.0.char_indices().nth(MANY).and_then(|(end, _)| self.0.get(..end));
        match cut {
            None => write!(f, "{}", Quoted(self.0)),
            Some(cut) => write!(f, "{}...", Quoted(cut)),
        }
    }
}
