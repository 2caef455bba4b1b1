// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result line that ends the output of every command of the guest's shell.
//!
//! A missing line is a failure; nothing is inferred from its absence.

use anyhow::{Context, ensure};

/// One result line: `ok <command> key=value ...` or `error <command> errno=... status=... words`.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Whether it is `ok` and not `error`.
    pub ok: bool,
    /// The words before the keys.
    pub command: String,
    /// Keys and values, in order.
    pub keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Reply<'a> {
    /// Parses a line; `None` if it is not a result line.
    pub fn parse(line: &'a str) -> Option<Reply<'a>> {
        let (ok, rest) = match line.split_once(' ')? {
            ("ok", rest) => (true, rest),
            ("error", rest) => (false, rest),
            _ => return None,
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        let first_key = words.iter().position(|word| word.contains('=')).unwrap_or(words.len());
        let (command, keys) = words.split_at(first_key);
        Some(Reply {
            ok,
            command: command.join(" "),
            keys: keys.iter().map_while(|word| word.split_once('=')).collect(),
        })
    }

    /// Returns a key's value.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        Some(self.keys.iter().find(|(name, _)| *name == key)?.1)
    }

    /// Returns a key's value as a number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }
}

/// Returns a key's value in a result line.
pub fn value<'a>(line: &'a str, key: &str) -> anyhow::Result<&'a str> {
    let value = Reply::parse(line).and_then(|reply| reply.text(key));
    value.with_context(|| format!("no {key} in `{line}`"))
}

/// Returns a key's value in a result line as a number.
pub fn number(line: &str, key: &str) -> anyhow::Result<u64> {
    value(line, key)?.parse().with_context(|| format!("{key} is not a number in `{line}`"))
}

/// Checks that the bytes that `sum` read are the ones that `fill` wrote.
pub fn same_bytes(filled: &str, summed: &str) -> anyhow::Result<()> {
    ensure!(value(filled, "crc32")? == value(summed, "crc32")?, "{filled}, but {summed}");
    Ok(())
}

/// Returns the only `ok` line of `command`.
pub fn ok_line<'a>(lines: &'a [String], command: &str) -> Result<Reply<'a>, String> {
    let mut replies =
        lines.iter().filter_map(|line| Reply::parse(line)).filter(|r| r.command == command);
    match (replies.next(), replies.next()) {
        (Some(reply), None) if reply.ok => Ok(reply),
        (Some(_), None) => Err(format!("`{command}` answered with an error")),
        (None, _) => Err(format!("no result line of `{command}`")),
        _ => Err(format!("more than one result line of `{command}`")),
    }
}

/// Checks that a command with checks of its own ran, and that all of them passed.
pub fn all_passed(lines: &[String], command: &str) -> Result<(), String> {
    let reply = ok_line(lines, command)?;
    match (reply.number("passed"), reply.number("failed")) {
        (Some(1..), Some(0)) => Ok(()),
        _ => Err(format!("its last line is not `ok {command} passed=N failed=0` with N > 0")),
    }
}

/// Checks that no command answered with an error.
pub fn no_errors(lines: &[String]) -> Result<(), String> {
    match lines.iter().find(|line| line.starts_with("error ")) {
        Some(line) => Err(format!("the guest said: {line}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::text::lines;

    #[test]
    fn a_reply_is_command_and_keys() {
        let reply = Reply::parse("ok port offer port=7 list=1,2").unwrap();
        assert!(reply.ok);
        assert_eq!(reply.command, "port offer");
        assert_eq!(reply.keys, [("port", "7"), ("list", "1,2")]);
        assert_eq!(reply.number("port"), Some(7));
        assert_eq!(reply.number("list"), None);
    }

    #[test]
    fn an_errors_words_are_no_keys() {
        let reply =
            Reply::parse("error map errno=EINVAL status=bad_gntref reference 2 of x=4").unwrap();
        assert!(!reply.ok);
        assert_eq!(reply.keys, [("errno", "EINVAL"), ("status", "bad_gntref")]);
    }

    #[test]
    fn other_lines_are_no_replies() {
        for line in
            ["", "ok", "okay status", " ok status", "grantkit> ok status", "hypercall sched_op n=4"]
        {
            assert_eq!(Reply::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_selftest_must_have_tested_something() {
        assert!(all_passed(&lines("ok selftest passed=12 failed=0"), "selftest").is_ok());
        for bad in [
            "",
            "ok selftest passed=0 failed=0",
            "ok selftest passed=3 failed=1",
            "ok selftest",
            "error selftest errno=EIO status=- passed=3 failed=1",
            "ok selftest passed=3 failed=0\nok selftest passed=3 failed=0",
        ] {
            assert!(all_passed(&lines(bad), "selftest").is_err(), "{bad}");
        }
    }

    #[test]
    fn any_error_line_counts() {
        assert!(no_errors(&lines("ok a\nan error b")).is_ok());
        assert!(no_errors(&lines("ok a\nerror b errno=ENOSYS status=- no")).is_err());
    }
}
