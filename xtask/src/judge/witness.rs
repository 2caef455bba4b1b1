// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's own log as a witness: what it says about our guests, whatever they say themselves.
//!
//! A line that names one of our guests is either expected by the tier that provoked it, or a
//! finding. Lines that a guest wrote itself don't count, nor does the table of grants, which tiers
//! ask for. Without `debug=y` Xen doesn't log most of a guest's mistakes.

/// A line that a tier provokes in Xen's log.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The whole line; `*` matches anything.
    pub line: &'static str,
    /// When it must appear.
    pub seen: Seen,
    /// What provokes it.
    pub why: &'static str,
}

impl Expected {
    /// A line that a debug Xen must log; another never does.
    pub const fn debug(line: &'static str, why: &'static str) -> Expected {
        Expected { line, seen: Seen::Debug, why }
    }

    /// A line that Xen may or may not log.
    pub const fn perhaps(line: &'static str, why: &'static str) -> Expected {
        Expected { line, seen: Seen::Perhaps, why }
    }
}

/// What a debug Xen logs about calls it refuses, and tables it grows.
pub mod said {
    /// A read-only grant was mapped writable.
    pub const READ_ONLY: &str =
        "common/grant_table.c:*:d*v0 Attempt to write-pin a r/o grant entry";
    /// A reference beyond the granter's table was mapped.
    pub const NO_REFERENCE: &str = "common/grant_table.c:*:d*v0 Bad ref 0x* for d*";
    /// A reference beyond the granter's table was the source of a copy.
    pub const NO_SOURCE: &str = "common/grant_table.c:*:d*v0 Bad grant reference 0x*";
    /// An entry was mapped that is not granted, or is granted to another domain.
    pub const NOT_GRANTED: &str =
        "common/grant_table.c:*:d*v0 Bad flags (*) or dom (*); expected d*";
    /// An entry was mapped that is already mapped: by another domain, or too often.
    pub const MAPPED: &str =
        "common/grant_table.c:*:d*v0 Bad domain (* != *), or risk of counter overflow *";
    /// The granter does not exist.
    pub const NO_DOMAIN: &str = "common/grant_table.c:*:d*v0 Could not find domain *";
    /// There is no room for another mapping.
    pub const NO_ROOM: &str = "common/grant_table.c:*:d*v0 Failed to obtain maptrack handle";
    /// A grant table grew.
    pub const GREW: &str =
        "common/grant_table.c:*:d*v0 Expanding d* grant table from * to * frames";
    /// A domain ended while it mapped pages: one of its mappings.
    pub const ENDED: &str = "common/grant_table.c:*:d*v0 Grant release 0x* ref 0x* flags 0x* d*";
    /// A domain ended while it mapped pages: its first mapping.
    pub const ENDED_FIRST: &str =
        "common/grant_table.c:*:d*v0 Grant release 0 ref 0x* flags 0x* d*";
    /// One port more than the limit was requested.
    pub const NO_PORT_LEFT: &str = "common/event_channel.c:*:d*v0 EVTCHNOP failure: error *";
    /// A port was bound that the other domain does not offer.
    pub const NO_PORT: &str = "common/event_channel.c:*:d*v0 EVTCHNOP failure: domain *, error *";
}

/// Debug lines that Xen logs when xl creates a PVH guest: it saves each part of the new machine's
/// state, of which xl then changes two. No later action causes any of them.
pub const CREATED_PVH: [Expected; 21] = [
    saved("HVM d*v* save: CPU"),
    saved("HVM d* save: PIC"),
    saved("HVM d* save: IOAPIC"),
    saved("HVM d*v* save: LAPIC"),
    saved("HVM d*v* save: LAPIC_REGS"),
    saved("HVM d* save: PCI_IRQ"),
    saved("HVM d* save: ISA_IRQ"),
    saved("HVM d* save: PCI_LINK"),
    saved("HVM d* save: PIT"),
    saved("HVM d* save: RTC"),
    saved("HVM d* save: HPET"),
    saved("HVM d* save: PMTIMER"),
    saved("HVM d*v* save: MTRR"),
    saved("HVM d* save: VIRIDIAN_DOMAIN"),
    saved("HVM d*v* save: CPU_XSAVE"),
    saved("HVM d*v* save: VIRIDIAN_VCPU"),
    saved("HVM d*v* save: VMCE_VCPU"),
    saved("HVM d*v* save: TSC_ADJUST"),
    saved("HVM d*v* save: CPU_MSR"),
    // The parts that xl changes. Xen 4.17 spells the domain differently here.
    saved("HVM restore d*: MTRR 0"),
    saved("HVM restore d*: CPU 0"),
];

const fn saved(line: &'static str) -> Expected {
    Expected::perhaps(line, "xl makes a PVH guest")
}

/// When an expected line must appear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Always.
    Always,
    /// If this is a debug Xen; others don't contain the line at all.
    Debug,
    /// It may appear or not.
    Perhaps,
}

/// Which domains are our guests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// The one in dom0's place, once Xen has built it.
    Dom0,
    /// All but dom0, which is Linux.
    DomUs,
}

/// The number of findings shown.
const SHOWN: usize = 10;
/// Xen's last line before its first domain runs.
const BUILT: &str = "*** Serial input to DOM0";
/// The first and last lines of the grant table that `xl debug-keys g` prints.
const TABLE: [&str; 2] = ["gnttab_usage_print_all [", "gnttab_usage_print_all ] done"];
/// Words that precede a domain's number.
const NAMES: [&str; 3] = ["dom", "domain", "domid"];

/// Returns Xen's lines from a serial line that it shares with its domains, without Xen's prefix.
///
/// Xen may start a line in the middle of one of dom0's; a domain's own lines have the domain's
/// prefix instead.
pub fn lines(log: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(log);
    let xens = |line: &str| match line.strip_prefix("(d") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => None,
        _ => line.split_once("(XEN) ").map(|(_, said)| said.trim_end().to_owned()),
    };
    text.lines().filter_map(xens).collect()
}

/// Checks that every line that names one of our guests is expected, and that no required line is
/// missing.
pub fn heard(xen: &[String], ours: Ours, expected: &[Expected]) -> Result<(), String> {
    let debug = xen.iter().any(|l| l.starts_with("Xen version ") && l.contains(" debug=y "));
    let named = naming(xen, ours);
    let mut findings: Vec<&str> = Vec::new();
    for line in &named {
        let known = expected.iter().any(|expected| matches(expected.line, line));
        if !known && !findings.contains(line) {
            findings.push(line);
        }
    }
    if !findings.is_empty() {
        let more = findings.len().saturating_sub(SHOWN);
        let shown = findings[..findings.len() - more].join("\n    ");
        let more = if more > 0 { format!("\n    and {more} other lines") } else { String::new() };
        return Err(format!("Xen says about our guests:\n    {shown}{more}"));
    }
    let must = |e: &&Expected| e.seen == Seen::Always || (e.seen == Seen::Debug && debug);
    match expected.iter().filter(must).find(|e| !named.iter().any(|line| matches(e.line, line))) {
        Some(missing) => Err(format!("Xen did not say `{}`: {}", missing.line, missing.why)),
        None => Ok(()),
    }
}

/// The lines that name one of our guests.
fn naming(xen: &[String], ours: Ours) -> Vec<&str> {
    let built = xen.iter().position(|line| line.starts_with(BUILT)).map_or(0, |at| at + 1);
    let from = if ours == Ours::Dom0 { built } else { 0 };
    let mut table = false;
    let mut named = Vec::new();
    for line in &xen[from..] {
        table = (table || line.starts_with(TABLE[0])) && !line.starts_with(TABLE[1]);
        if !table && domids(line).any(|domid| (domid == 0) == (ours == Ours::Dom0)) {
            named.push(line.as_str());
        }
    }
    named
}

/// The domains that a line names: `d1`, `d1v0`, `Dom1`, `domain 1`, `domid=1`.
fn domids(line: &str) -> impl Iterator<Item = u32> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map_or("", String::as_str);
        let number = match word.find(|c: char| c.is_ascii_digit()) {
            None if NAMES.contains(&word.as_str()) => next,
            Some(digits) if NAMES.contains(&&word[..digits]) => &word[digits..],
            Some(1) if word.starts_with('d') => word[1..].split('v').next().unwrap_or_default(),
            _ => continue,
        };
        found.extend(number.parse::<u32>());
    }
    found.into_iter()
}

/// Whether the whole line matches the pattern, in which `*` matches anything.
fn matches(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::text;

    const DEBUG: &str =
        "Xen version 4.17.7 (@) (gcc (Debian 12.2.0-14+deb12u1) 12.2.0) debug=y Tue";
    const RELEASE: &str = "Xen version 4.17.7 (Debian 4.17.7+13-g2445b30a44-0+deb12u1) debug=n Wed";
    const PIN: &str = "common/grant_table.c:803:d1v0 Attempt to write-pin a r/o grant entry";

    fn judged(xen: &str, ours: Ours, expected: &[Expected]) -> Result<(), String> {
        heard(&text::lines(xen), ours, expected)
    }

    fn expect(line: &'static str, seen: Seen) -> [Expected; 1] {
        [Expected { line, seen, why: "it was provoked" }]
    }

    #[test]
    fn a_line_that_names_one_of_our_guests_is_a_finding_unless_expected() {
        for line in [
            PIN,
            "common/grant_table.c:1072:d0v0 Bad domain (2 != 0), or risk of counter overflow in d1",
            "d3v0 Unhandled page fault fault/trap [#14, ec=0000]",
            "Domain 1 (vcpu#0) crashed on cpu#0:",
            "RFLAGS: 0000000000000287   EM: 1   CONTEXT: pv guest (d1v0)",
            "Domain 2 reported crashed by domain 0 on cpu#0:",
            "grant table of d4 is full",
            "extent: domid=5 is short of memory",
        ] {
            assert!(judged(line, Ours::DomUs, &[]).is_err(), "{line}");
            assert_eq!(judged(line, Ours::DomUs, &expect("*", Seen::Perhaps)), Ok(()));
        }
        let error = judged(&format!("{PIN}\n{PIN}"), Ours::DomUs, &[]).unwrap_err();
        assert_eq!(error, format!("Xen says about our guests:\n    {PIN}"));
    }

    #[test]
    fn other_lines_are_no_finding() {
        for line in [
            "  Xen settings: BTI-Thunk: RETPOLINE, SPEC_CTRL: No, Other: BRANCH_HARDEN",
            "build-id: 151b373fd64b321593bf987fd923cd10dabadac4",
            "rax: 00000000000000d4   rbx: ffffffff80071048   rcx: 0000000000000000",
            "d[IDLE]v0 is idle",
            "PCI add device 0000:00:01.0",
            "common/grant_table.c:803:d0v0 Attempt to write-pin a r/o grant entry",
            "d0 has maximum 208 PIRQs",
            "",
        ] {
            assert_eq!(judged(line, Ours::DomUs, &[]), Ok(()), "{line}");
        }
    }

    #[test]
    fn in_dom0s_place_only_lines_after_its_construction_count() {
        let boot = "Dom0 has maximum 1 VCPUs\n\
            *** Serial input to DOM0 (type 'CTRL-a' three times to switch input)\n\
            Freed 656kB init memory\n";
        assert_eq!(judged(boot, Ours::Dom0, &[]), Ok(()));
        for line in [
            "Hardware Dom0 crashed: rebooting machine in 5 seconds.",
            "common/grant_table.c:1031:d0v0 Could not find domain 32736",
            "Domain 0 (vcpu#0) crashed on cpu#0:",
        ] {
            assert!(judged(&format!("{boot}{line}"), Ours::Dom0, &[]).is_err(), "{line}");
            assert!(judged(line, Ours::Dom0, &[]).is_err(), "without a boot: {line}");
        }
    }

    #[test]
    fn a_required_line_that_is_missing_is_a_finding() {
        let pin = "common/grant_table.c:*:d*v0 Attempt to write-pin a r/o grant entry";
        let said = |seen, xen: &str| judged(xen, Ours::DomUs, &expect(pin, seen)).is_ok();
        let (debug, both) = (DEBUG.to_owned(), format!("{DEBUG}\n{PIN}"));
        assert!(
            [Seen::Always, Seen::Debug, Seen::Perhaps].map(|seen| said(seen, &both)) == [true; 3]
        );
        assert!(!said(Seen::Always, RELEASE));
        assert!(said(Seen::Debug, RELEASE));
        assert!(!said(Seen::Debug, &debug));
        assert!(said(Seen::Perhaps, &debug));
    }

    #[test]
    fn the_requested_grant_table_is_no_finding_but_what_follows_may_be() {
        let table = "gnttab_usage_print_all [ key 'g' pressed\n\
            grant-table for remote d1 (v1)\n\
            [0x001]      0 0x1ec2e 0x00000002          0 0x01ec2e 0x19\n\
            gnttab_usage_print_all ] done\n";
        assert_eq!(judged(table, Ours::DomUs, &[]), Ok(()));
        assert!(judged(&format!("{table}{PIN}"), Ours::DomUs, &[]).is_err());
    }

    #[test]
    fn a_guests_own_lines_are_not_xens() {
        let log = "(XEN) one\r\n(d1) d1 is (XEN) d1\nmapping ker(XEN) two\r\nd1 Linux's\n(dog\n";
        assert_eq!(lines(log.as_bytes()), ["one", "two"]);
    }

    #[test]
    fn the_lines_about_a_new_pvh_guest_are_expected_and_similar_ones_are_not() {
        let said = "HVM d1v0 save: CPU\nHVM d12 save: PIC\nHVM1 restore: MTRR 0";
        assert_eq!(judged(said, Ours::DomUs, &CREATED_PVH), Ok(()));
        assert!(judged(said, Ours::DomUs, &[]).is_err());
        for line in ["HVM d1v0 save: CPUX", "HVM d1 restore: PIC", "d1v0 HVM d1 save: PIC"] {
            assert!(judged(line, Ours::DomUs, &CREATED_PVH).is_err(), "{line}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_line() {
        assert!(matches("a*c", "abc") && matches("a*c", "ac") && matches("abc", "abc"));
        assert!(matches("*b*", "abc") && matches("a*b*c", "a1b2c"));
        assert!(!matches("a*c", "abcd") && !matches("ab", "abc") && !matches("a*b*c", "acb"));
        assert!(!matches("b*", "abc") && !matches("ab*bc", "abc"));
    }
}
