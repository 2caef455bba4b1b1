// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel command line: options, then a script.
//!
//! Words before the first `--` are options, `key=value`; what follows it is a script, commands
//! separated by `;`. Xen's `start_info` holds 1,023 bytes. A line of that length may have been
//! truncated, so its script is refused as a whole rather than run in part.

/// Bytes of command line that `start_info` holds, without the terminating zero.
pub const MAX: usize = 1023;

/// A parsed command line. The options' meaning is checked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    options: &'a str,
    script: &'a str,
    cut_off: bool,
}

impl<'a> CommandLine<'a> {
    /// Parses `line`.
    pub fn parse(line: &'a str) -> Self {
        let cut_off = line.len() >= MAX;
        match split_at_dashes(line) {
            Some((options, script)) => {
                Self { options, script: if cut_off { "" } else { script }, cut_off }
            }
            None => Self {
                options: if cut_off { all_but_last(line) } else { line },
                script: "",
                cut_off,
            },
        }
    }

    /// The options in order: key and value, or, as an error, a word without `=`.
    pub fn options(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), &'a str>> + use<'a> {
        self.options.split_ascii_whitespace().map(|word| word.split_once('=').ok_or(word))
    }

    /// The script's commands in order, without the blanks around them.
    pub fn commands(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.script.split(';').map(str::trim_ascii).filter(|command| !command.is_empty())
    }

    /// Whether the line may have been truncated. Then its script, or its last option, is left out.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }
}

/// The text before and after the first word `--`.
fn split_at_dashes(line: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for word in line.split(|c: char| c.is_ascii_whitespace()) {
        let end = start + word.len();
        if word == "--" {
            return Some((line.get(..start)?, line.get(end..)?));
        }
        start = end + 1;
    }
    None
}

fn all_but_last(line: &str) -> &str {
    let blank = line.rfind(|c: char| c.is_ascii_whitespace());
    blank.and_then(|blank| line.get(..blank)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    fn commands(line: &str) -> Vec<&str> {
        CommandLine::parse(line).commands().collect()
    }

    fn options(line: &str) -> Vec<Result<(&str, &str), &str>> {
        CommandLine::parse(line).options().collect()
    }

    #[test]
    fn words_before_the_dashes_are_options_and_the_rest_is_a_script() {
        let line = "gntalloc.limit=9  loglevel=debug -- share 0 4; status";
        assert_eq!(options(line), [Ok(("gntalloc.limit", "9")), Ok(("loglevel", "debug"))]);
        assert_eq!(commands(line), ["share 0 4", "status"]);
        assert_eq!(options("quiet a=b=c"), [Err("quiet"), Ok(("a", "b=c"))]);
    }

    #[test]
    fn the_dashes_may_be_the_first_word_and_only_the_first_pair_counts() {
        assert_eq!(commands("-- status"), ["status"]);
        assert_eq!(options("-- status"), vec![]);
        assert_eq!(commands("-- write 1 0 a -- b"), ["write 1 0 a -- b"]);
        assert_eq!(commands("--x a=b --"), Vec::<&str>::new());
        assert_eq!(commands("status"), Vec::<&str>::new());
    }

    #[test]
    fn empty_commands_are_none() {
        assert_eq!(commands("-- ;; status ;\t; help;"), ["status", "help"]);
        assert_eq!(commands(""), Vec::<&str>::new());
    }

    #[test]
    fn a_script_that_was_cut_off_is_refused_whole() {
        let line = format!("a=b -- {}", "x".repeat(MAX - 7));
        let full = CommandLine::parse(&line);
        assert!(full.is_cut_off());
        assert_eq!(full.commands().count(), 0);
        assert_eq!(full.options().count(), 1);
        let fits = CommandLine::parse(&line[..MAX - 1]);
        assert!(!fits.is_cut_off());
        assert_eq!(fits.commands().count(), 1);
    }

    #[test]
    fn an_option_that_was_cut_off_is_left_out() {
        let line = format!("a=b {}=1", "x".repeat(MAX - 6));
        assert_eq!(options(&line), [Ok(("a", "b"))]);
        assert_eq!(options(&"x".repeat(MAX)), vec![]);
    }
}
