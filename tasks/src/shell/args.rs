//! A command's arguments: words separated by blanks, numbers decimal or 0x-hex.
//!
//! Nothing is guessed: a missing, extra or malformed argument, an overflow included, is EINVAL
//! with words that name the input and what would be right.

use drivers::{Access, DomId};

use super::reply::{Done, Failure};
use super::table::Command;

/// The arguments that are left.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    command: &'static Command,
    rest: &'a str,
}

impl<'a> Args<'a> {
    pub(crate) fn new(command: &'static Command, rest: &'a str) -> Self {
        Self { command, rest }
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

    /// All that is left of the line, at least one character.
    pub(crate) fn rest_of_line(&mut self, what: &str) -> Result<&'a str, Failure> {
        let rest = core::mem::take(&mut self.rest).trim_start_matches(BLANKS);
        if rest.is_empty() {
            return Err(self.wrong(format_args!("{what} is missing")));
        }
        Ok(rest)
    }

    /// No argument may be left.
    pub(crate) fn end(&mut self) -> Done {
        match self.optional() {
            None => Ok(()),
            Some(extra) => Err(self.wrong(format_args!("{:?} is too much", Brief(extra)))),
        }
    }

    /// The next word as a number that fits the type.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, what: &str) -> Result<T, Failure> {
        let word = self.word(what)?;
        self.parse(what, word)
    }

    /// The same, where the word may be missing.
    pub(crate) fn optional_number<T: TryFrom<u64>>(
        &mut self,
        what: &str,
    ) -> Result<Option<T>, Failure> {
        let word = self.optional();
        word.map(|word| self.parse(what, word)).transpose()
    }

    /// A word of this command's as a number that fits the type.
    pub(crate) fn parse<T: TryFrom<u64>>(&self, what: &str, word: &str) -> Result<T, Failure> {
        let number = number(word).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            let bits = 8 * size_of::<T>();
            self.wrong(format_args!(
                "{what} {:?} is no number of {bits} bits, decimal or 0x-hex",
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
        DomId::new(self.parse("<domid>", word)?).ok_or_else(|| {
            self.wrong(format_args!(
                "<domid> {:?} is a reserved number; domains have 0 to 32751",
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
                return Err(self.wrong(format_args!("{:?} is not \"ro\"", Brief(other))));
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

/// What separates words.
const BLANKS: [char; 2] = [' ', '\t'];

/// The first word, or nothing; and what follows it and one blank.
pub fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANKS);
    text.split_once(BLANKS).unwrap_or((text, ""))
}

/// A number as the shell takes them: decimal, or hexadecimal after `0x`, and nothing else.
pub fn number(word: &str) -> Option<u64> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None => (word, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Input in an error's words: not more of it than a person needs to know it again.
struct Brief<'a>(&'a str);

impl core::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        const MANY: usize = 40;
        match self.0.char_indices().nth(MANY) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hex_and_nothing_else() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("0042"), Some(42));
        assert_eq!(number("0xfF"), Some(255));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        assert_eq!(number("0xffffffffffffffff"), Some(u64::MAX));
        let wrong = [
            "",
            "-1",
            "+1",
            "0x",
            "0x+1",
            "0X1",
            "1_0",
            "abc",
            "1a",
            "18446744073709551616",
            "0x10000000000000000",
            "1.0",
            " 1",
        ];
        for word in wrong {
            assert_eq!(number(word), None, "{word:?}");
        }
    }

    #[test]
    fn words_are_what_stands_between_blanks() {
        assert_eq!(first_word("  share\t0  4 "), ("share", "0  4 "));
        assert_eq!(first_word("write 1  a "), ("write", "1  a "));
        assert_eq!(first_word("  "), ("", ""));
    }
}
