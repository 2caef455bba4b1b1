//! What a console must have said.
//!
//! Pure text, no process: the result lines that every command of the guest's shell ends in, and the dump that a
//! crash leaves. A missing line is a failure; nothing is guessed from what is absent.

use anyhow::Context;

/// One result line: `ok <command> key=value ...` or `error <command> errno=... status=... words`.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// `ok`, not `error`.
    pub ok: bool,
    /// The word or words before the keys.
    pub command: String,
    /// The keys in their order.
    pub keys: Vec<(&'a str, &'a str)>,
}

impl<'a> Reply<'a> {
    /// Reads a line; `None` if it is no result line.
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

    /// A key's value.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        Some(self.keys.iter().find(|(name, _)| *name == key)?.1)
    }

    /// A key's value as a number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }
}

/// The value of a key in a result line.
pub fn value<'a>(line: &'a str, key: &str) -> anyhow::Result<&'a str> {
    let value = Reply::parse(line).and_then(|reply| reply.text(key));
    value.with_context(|| format!("no {key} in `{line}`"))
}

/// The same as a number.
pub fn number(line: &str, key: &str) -> anyhow::Result<u64> {
    value(line, key)?.parse().with_context(|| format!("{key} is no number in `{line}`"))
}

/// The one `ok` line of `command`.
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

/// The self-test ran, and all of it passed.
pub fn selftest(lines: &[String]) -> Result<(), String> {
    let reply = ok_line(lines, "selftest")?;
    match (reply.number("passed"), reply.number("failed")) {
        (Some(1..), Some(0)) => Ok(()),
        _ => Err("its line is not `ok selftest passed=N failed=0` with N > 0".into()),
    }
}

/// No command answered with an error.
pub fn no_errors(lines: &[String]) -> Result<(), String> {
    match lines.iter().find(|line| line.starts_with("error ")) {
        Some(line) => Err(format!("the guest said: {line}")),
        None => Ok(()),
    }
}

/// A way to crash, and the words its dump must contain; the first of them begins the dump.
pub struct Crash {
    /// The word after `crash`.
    pub word: &'static str,
    /// Empty if there can be no dump: Xen itself ends the domain.
    pub signs: &'static [&'static str],
}

/// All ways to crash. The first four are one exception; what was tried, and where, shows which protection held.
pub const CRASHES: [Crash; 6] = [
    Crash::new("null", &["page fault", "CR2 0000000000000000: write where nothing is mapped"]),
    Crash::new(
        "text",
        &["page fault", "CR2 ffffffff8", ": write of a page that does not allow it"],
    ),
    Crash::new(
        "rodata",
        &["page fault", "CR2 ffffffff8", ": write of a page that does not allow it"],
    ),
    Crash::new("exec", &["page fault", "CR2 ", ": execution of a page that does not allow it"]),
    Crash::new("panic", &["panicked at "]),
    Crash::new("stack", &[]),
];

impl Crash {
    const fn new(word: &'static str, signs: &'static [&'static str]) -> Crash {
        Crash { word, signs }
    }
}

/// A dump must fit on one screen of an old terminal.
const DUMP_LINES: usize = 24;

/// What Xen says last when the domain in dom0's place has crashed.
pub fn crashed(xen: &[String]) -> bool {
    xen.iter().any(|line| line.starts_with("Hardware Dom0 crashed"))
}

/// What Xen says when it ended the domain itself.
fn ended_by_xen(xen: &[String]) -> bool {
    xen.iter().any(|line| line.starts_with("Domain 0 (vcpu#0) crashed"))
}

/// The crash went as it must: a short dump with a named backtrace, or none at all where there can be none.
pub fn crash(crash: &Crash, guest: &[String], xen: &[String]) -> Result<(), String> {
    if !crashed(xen) {
        return Err("the domain did not end as crashed".into());
    }
    let Some((first, others)) = crash.signs.split_first() else {
        return match (ended_by_xen(xen), guest.iter().any(|line| names_crash(line))) {
            (true, false) => Ok(()),
            (true, true) => Err("a dump came from a stack that was used up".into()),
            (false, _) => Err("Xen did not report a crashed domain".into()),
        };
    };
    if ended_by_xen(xen) {
        return Err("Xen had to end the domain: the guest's own handler did not".into());
    }
    dump(first, others, guest)
}

/// A dump that begins with `first`, has the other signs and names what crashed.
fn dump(first: &str, others: &[&str], guest: &[String]) -> Result<(), String> {
    let start = guest
        .iter()
        .position(|line| line.contains(first))
        .ok_or(format!("no `{first}` in its output"))?;
    let dump = &guest[start..];
    if let Some(sign) = others.iter().find(|sign| !dump.iter().any(|line| line.contains(*sign))) {
        return Err(format!("no `{sign}` in the dump"));
    }
    if !dump.iter().any(|line| names_crash(line)) {
        return Err("no backtrace line names a function `crash`".into());
    }
    if dump.len() > DUMP_LINES {
        return Err(format!("the dump has {} lines, more than {DUMP_LINES}", dump.len()));
    }
    Ok(())
}

/// A guest that `xl` started left the dump of this crash on its console.
pub fn dumped(word: &str, guest: &[String]) -> Result<(), String> {
    let signs = CRASHES.iter().find(|crash| crash.word == word).map_or(&[][..], |c| c.signs);
    let (first, others) = signs.split_first().ok_or("this crash leaves no dump")?;
    dump(first, others, guest)
}

/// A backtrace line: an address in the kernel, and a demangled name with `crash` in it.
fn names_crash(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let address = |word: &str| {
        let digits = word.trim_start_matches("0x").trim_end_matches(':');
        digits.len() == 16
            && digits.starts_with("ffffffff")
            && u64::from_str_radix(digits, 16).is_ok()
    };
    let name =
        |word: &str| word.contains("crash") && !word.starts_with("_ZN") && !word.starts_with("_R");
    words.clone().any(address) && words.any(name)
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
