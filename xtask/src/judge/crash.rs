// SPDX-License-Identifier: MIT OR Apache-2.0
//! The dump that a crash leaves on a console.

/// A way to crash, and what its dump must contain.
pub struct Crash {
    /// The argument of the `crash` command.
    pub word: &'static str,
    /// Texts that the dump must contain; it begins with the first. Empty if there can be no dump
    /// because Xen itself ends the domain.
    pub signs: &'static [&'static str],
}

/// All ways to crash. The first four raise the same exception; the kind and address of the access
/// show which protection held.
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

/// A stack overflow that can leave a dump: a PVH guest handles the fault on another stack.
pub const STACK_DUMP: Crash =
    Crash::new("stack", &["page fault", "CR2 ffffffff8", ": write where nothing is mapped"]);

impl Crash {
    const fn new(word: &'static str, signs: &'static [&'static str]) -> Crash {
        Crash { word, signs }
    }
}

/// The greatest number of lines of a dump: one screen of an old terminal.
const DUMP_LINES: usize = 24;

/// Whether Xen reported, as its last line, that the domain in dom0's place crashed.
pub fn crashed(xen: &[String]) -> bool {
    xen.iter().any(|line| line.starts_with("Hardware Dom0 crashed"))
}

/// Whether Xen reported that it ended the domain itself.
fn ended_by_xen(xen: &[String]) -> bool {
    xen.iter().any(|line| line.starts_with("Domain 0 (vcpu#0) crashed"))
}

/// Checks that a crash went as it must: a short dump with a named backtrace, or no dump where there
/// can be none.
pub fn crash(crash: &Crash, guest: &[String], xen: &[String]) -> Result<(), String> {
    if !crashed(xen) {
        return Err("the domain did not end with a crash".into());
    }
    let Some((first, others)) = crash.signs.split_first() else {
        return match (ended_by_xen(xen), guest.iter().any(|line| names_crash(line))) {
            (true, false) => Ok(()),
            (true, true) => Err("there is a dump although the stack was used up".into()),
            (false, _) => Err("Xen did not report a crashed domain".into()),
        };
    };
    if ended_by_xen(xen) {
        return Err("Xen had to end the domain: the guest's own handler did not".into());
    }
    dump_of(first, others, guest)
}

/// Checks that the dump begins with `first`, contains `others` and names the crashing function.
fn dump_of(first: &str, others: &[&str], guest: &[String]) -> Result<(), String> {
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

/// Checks that a guest started by `xl` left the dump of the crash `word` on its console.
pub fn dumped(word: &str, guest: &[String]) -> Result<(), String> {
    CRASHES
        .iter()
        .find(|crash| crash.word == word)
        .map_or(Err("no crash".into()), |crash| dump(crash, guest))
}

/// Like [`dumped`], for any crash that leaves a dump.
pub fn dump(crash: &Crash, guest: &[String]) -> Result<(), String> {
    let (first, others) = crash.signs.split_first().ok_or("this crash leaves no dump")?;
    dump_of(first, others, guest)
}

/// Whether this is a backtrace line with an address in the kernel and a demangled name that
/// contains `crash`.
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
mod tests {
    use super::*;
    use crate::judge::text::lines;

    const DUMP: &str = "TRAP #PF page fault, vector 14, error code 0x2
CR2 0000000000000000: write where nothing is mapped
RIP ffffffff80101234 grantkit::crash::write_to+0x4
backtrace:
  ffffffff80101234 grantkit::crash::crash+0x14";
    const GONE: &str = "Hardware Dom0 crashed: rebooting machine in 5 seconds.";
    const KILLED: &str = "Domain 0 (vcpu#0) crashed on cpu#0:\n\
                          Hardware Dom0 crashed: rebooting machine in 5 seconds.";

    fn judged(word: &str, guest: &str, xen: &str) -> Result<(), String> {
        let expected = CRASHES.iter().find(|c| c.word == word).unwrap();
        crash(expected, &lines(guest), &lines(xen))
    }

    #[test]
    fn a_whole_dump_is_accepted() {
        assert_eq!(judged("null", DUMP, GONE), Ok(()));
        let panic = "panicked at kernel/src/x.rs:1:2: hm\nbacktrace:\n  \
                     ffffffff80101234 grantkit::crash::crash+0x2";
        assert_eq!(judged("panic", panic, GONE), Ok(()));
    }

    #[test]
    fn an_incomplete_dump_is_refused() {
        assert!(judged("null", DUMP, "").is_err());
        assert!(judged("null", DUMP, KILLED).is_err());
        assert!(judged("null", "", GONE).is_err());
        assert!(judged("null", &DUMP.replace("CR2", "cr3"), GONE).is_err());
        assert!(
            judged("null", &DUMP.replace("crash::", "x::").replace("::crash", "::x"), GONE)
                .is_err()
        );
        assert!(
            judged("null", &DUMP.replace("grantkit::crash", "_ZN8grantkit5crash"), GONE).is_err()
        );
        assert!(judged("null", &format!("{DUMP}{}", "\nmore".repeat(20)), GONE).is_err());
        assert!(judged("panic", DUMP, GONE).is_err());
        assert!(judged("text", DUMP, GONE).is_err());
        assert!(judged("exec", DUMP, GONE).is_err());
    }

    #[test]
    fn a_stack_overflow_is_reported_by_xen() {
        assert_eq!(judged("stack", "", KILLED), Ok(()));
        assert!(judged("stack", DUMP, KILLED).is_err());
        assert!(judged("stack", "", GONE).is_err());
        assert!(judged("stack", "", "").is_err());
    }
}
