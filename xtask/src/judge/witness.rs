// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xen's own log as a witness: what it says of our guests, whatever they say themselves.
//!
//! A line that names a guest of ours is either expected by the tier that provoked it, or a finding.
//! What a guest wrote itself is none, nor is the table of grants, which a tier asks for. Without
//! `debug=y` Xen keeps most of what it could say of a guest's mistakes to itself.

/// A line that a tier provokes.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The whole line; `*` stands for anything.
    pub line: &'static str,
    /// When it must be there.
    pub seen: Seen,
    /// What provokes it.
    pub why: &'static str,
}

impl Expected {
    /// What a debug Xen says, and no other.
    pub const fn debug(line: &'static str, why: &'static str) -> Expected {
        Expected { line, seen: Seen::Debug, why }
    }

    /// What Xen says or not, as it happens.
    pub const fn perhaps(line: &'static str, why: &'static str) -> Expected {
        Expected { line, seen: Seen::Perhaps, why }
    }
}

/// What a debug Xen says of what it refuses, and of the tables that it makes larger.
pub mod said {
    /// A read-only grant was mapped writable.
    pub const READ_ONLY: &str =
        "common/grant_table.c:*:d*v0 Attempt to write-pin a r/o grant entry";
    /// A reference beyond the granter's table was mapped.
    pub const NO_REFERENCE: &str = "common/grant_table.c:*:d*v0 Bad ref 0x* for d*";
    /// The same, copied from.
    pub const NO_SOURCE: &str = "common/grant_table.c:*:d*v0 Bad grant reference 0x*";
    /// What is not granted was mapped, or what is granted to another.
    pub const NOT_GRANTED: &str =
        "common/grant_table.c:*:d*v0 Bad flags (*) or dom (*); expected d*";
    /// The same of an entry that is mapped: by another, or too often.
    pub const MAPPED: &str =
        "common/grant_table.c:*:d*v0 Bad domain (* != *), or risk of counter overflow *";
    /// A domain that is not there was to have granted.
    pub const NO_DOMAIN: &str = "common/grant_table.c:*:d*v0 Could not find domain *";
    /// There is no room for another mapping.
    pub const NO_ROOM: &str = "common/grant_table.c:*:d*v0 Failed to obtain maptrack handle";
    /// A table of grants grew.
    pub const GREW: &str =
        "common/grant_table.c:*:d*v0 Expanding d* grant table from * to * frames";
    /// A domain ended while it mapped pages.
    pub const ENDED: &str = "common/grant_table.c:*:d*v0 Grant release 0x* ref 0x* flags 0x* d*";
    /// The same, of the first of its mappings.
    pub const ENDED_FIRST: &str =
        "common/grant_table.c:*:d*v0 Grant release 0 ref 0x* flags 0x* d*";
    /// One port too many was wanted.
    pub const NO_PORT_LEFT: &str = "common/event_channel.c:*:d*v0 EVTCHNOP failure: error *";
    /// A port that the other domain does not offer was bound.
    pub const NO_PORT: &str = "common/event_channel.c:*:d*v0 EVTCHNOP failure: domain *, error *";
}

/// What Xen says for a debugger when xl makes a PVH guest: that it saves each part of the new machine,
/// of which xl changes two. Nothing provokes any of it later.
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
    // What xl changes; Xen 4.17 names the domain in another way.
    saved("HVM restore d*: MTRR 0"),
    saved("HVM restore d*: CPU 0"),
];

const fn saved(line: &'static str) -> Expected {
    Expected::perhaps(line, "xl makes a PVH guest")
}

/// When an expected line must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Always.
    Always,
    /// If this is a debug Xen; another one does not have the line at all.
    Debug,
    /// It's left to chance.
    Perhaps,
}

/// Which domains are guests of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// The one in dom0's place, from when Xen has built it.
    Dom0,
    /// All but dom0, which is Linux.
    DomUs,
}

/// How many findings are shown.
const SHOWN: usize = 10;
/// Xen's last word before its first domain runs.
const BUILT: &str = "*** Serial input to DOM0";
/// The table of grants, which `xl debug-keys g` asks for.
const TABLE: [&str; 2] = ["gnttab_usage_print_all [", "gnttab_usage_print_all ] done"];
/// Words before a domain's number.
const NAMES: [&str; 3] = ["dom", "domain", "domid"];

/// Xen's lines on a serial line that it shares with its domains, without the mark.
///
/// Xen may begin a line in the middle of dom0's; a domain's own line has the domain's mark instead.
pub fn lines(log: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(log);
    let xens = |line: &str| match line.strip_prefix("(d") {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => None,
        _ => line.split_once("(XEN) ").map(|(_, said)| said.trim_end().to_owned()),
    };
    text.lines().filter_map(xens).collect()
}

/// Every line of Xen's that names a guest of ours is expected, and every one that must be there is.
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
        return Err(format!("Xen says of our guests:\n    {shown}{more}"));
    }
    let must = |e: &&Expected| e.seen == Seen::Always || (e.seen == Seen::Debug && debug);
    match expected.iter().filter(must).find(|e| !named.iter().any(|line| matches(e.line, line))) {
        Some(missing) => Err(format!("Xen did not say `{}`: {}", missing.line, missing.why)),
        None => Ok(()),
    }
}

/// The lines that name a guest of ours.
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

/// Is the whole line this pattern's, in which `*` stands for anything?
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
    fn a_line_that_names_a_guest_of_ours_is_a_finding_unless_it_is_expected() {
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
        assert_eq!(error, format!("Xen says of our guests:\n    {PIN}"));
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
    fn in_dom0s_place_only_what_comes_after_its_building_counts() {
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
    fn what_must_be_said_and_is_not_is_a_finding_too() {
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
    fn the_table_of_grants_that_was_asked_for_is_no_finding_and_what_follows_is() {
        let table = "gnttab_usage_print_all [ key 'g' pressed\n\
            grant-table for remote d1 (v1)\n\
            [0x001]      0 0x1ec2e 0x00000002          0 0x01ec2e 0x19\n\
            gnttab_usage_print_all ] done\n";
        assert_eq!(judged(table, Ours::DomUs, &[]), Ok(()));
        assert!(judged(&format!("{table}{PIN}"), Ours::DomUs, &[]).is_err());
    }

    #[test]
    fn what_a_guest_wrote_itself_is_not_xens() {
        let log = "(XEN) one\r\n(d1) d1 is (XEN) d1\nmapping ker(XEN) two\r\nd1 Linux's\n(dog\n";
        assert_eq!(lines(log.as_bytes()), ["one", "two"]);
    }

    #[test]
    fn what_xen_says_of_a_new_pvh_guest_is_expected_and_nothing_near_it() {
        let said = "HVM d1v0 save: CPU\nHVM d12 save: PIC\nHVM1 restore: MTRR 0";
        assert_eq!(judged(said, Ours::DomUs, &CREATED_PVH), Ok(()));
        assert!(judged(said, Ours::DomUs, &[]).is_err());
        for line in ["HVM d1v0 save: CPUX", "HVM d1 restore: PIC", "d1v0 HVM d1 save: PIC"] {
            assert!(judged(line, Ours::DomUs, &CREATED_PVH).is_err(), "{line}");
        }
    }

    #[test]
    fn a_pattern_is_the_whole_line() {
        assert!(matches("a*c", "abc") && matches("a*c", "ac") && matches("abc", "abc"));
        assert!(matches("*b*", "abc") && matches("a*b*c", "a1b2c"));
        assert!(!matches("a*c", "abcd") && !matches("ab", "abc") && !matches("a*b*c", "acb"));
        assert!(!matches("b*", "abc") && !matches("ab*bc", "abc"));
    }
}
