// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command's arguments and errors.

use dom0::libxen::AtUnmap;
use drivers::Access;
use nix::errno::Errno;
use tasks::shell::{first_word, number};

/// Why a command failed: an errno's name, and a text.
#[derive(Debug)]
pub struct CommandError(pub String, pub String);

impl From<Errno> for CommandError {
    fn from(errno: Errno) -> CommandError {
        CommandError(format!("{errno:?}"), errno.desc().to_owned())
    }
}

impl From<drivers::Error> for CommandError {
    fn from(error: drivers::Error) -> CommandError {
        CommandError(error.errno().to_string(), error.to_string())
    }
}

/// Returns the error for an invalid argument.
pub fn invalid(words: impl Into<String>) -> CommandError {
    CommandError("EINVAL".into(), words.into())
}

/// The remaining arguments.
pub struct Arguments<'a>(pub &'a str);

impl<'a> Arguments<'a> {
    /// Takes the next argument.
    pub fn word(&mut self) -> Result<&'a str, CommandError> {
        let (word, rest) = first_word(self.0);
        self.0 = rest;
        if word.is_empty() { Err(invalid("an argument is missing")) } else { Ok(word) }
    }

    /// Takes the next argument, a number.
    pub fn number<T: TryFrom<u64>>(&mut self) -> Result<T, CommandError> {
        self.word().and_then(parse)
    }

    /// Takes the options at the end: the access, and the notification.
    pub fn manner(&mut self) -> Result<(Access, Option<AtUnmap>), CommandError> {
        let (mut access, mut notify) = (Access::ReadWrite, AtUnmap { byte: None, event: None });
        while !self.0.is_empty() {
            let word = self.word()?;
            match word.split_once('=') {
                None if word == "ro" => access = Access::ReadOnly,
                Some(("byte", offset)) => notify.byte = Some(parse(offset)?),
                Some(("event", port)) => notify.event = Some(parse(port)?),
                _ => return Err(invalid(format!("{word:?} is too much"))),
            }
        }
        let any = notify.byte.is_some() || notify.event.is_some();
        Ok((access, any.then_some(notify)))
    }
}

/// Parses a word as a number.
pub fn parse<T: TryFrom<u64>>(word: &str) -> Result<T, CommandError> {
    let number = number(word).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| invalid(format!("{word:?} is no number")))
}
