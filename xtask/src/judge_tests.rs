//! Consoles that must be accepted, and ones that must not.

use super::*;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

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
    assert!(selftest(&lines("ok selftest passed=12 failed=0")).is_ok());
    for bad in [
        "",
        "ok selftest passed=0 failed=0",
        "ok selftest passed=3 failed=1",
        "ok selftest",
        "error selftest errno=EIO status=- passed=3 failed=1",
        "ok selftest passed=3 failed=0\nok selftest passed=3 failed=0",
    ] {
        assert!(selftest(&lines(bad)).is_err(), "{bad}");
    }
}

#[test]
fn any_error_line_counts() {
    assert!(no_errors(&lines("ok a\nan error b")).is_ok());
    assert!(no_errors(&lines("ok a\nerror b errno=ENOSYS status=- no")).is_err());
}

const DUMP: &str = "TRAP #PF page fault, vector 14, error code 0x2
CR2 0000000000000000: write where nothing is mapped
RIP ffffffff80101234 grantkit::crash::write_to+0x4
backtrace:
  ffffffff80101234 grantkit::crash::crash+0x14";
const GONE: &str = "Hardware Dom0 crashed: rebooting machine in 5 seconds.";
const KILLED: &str =
    "Domain 0 (vcpu#0) crashed on cpu#0:\nHardware Dom0 crashed: rebooting machine in 5 seconds.";

fn judged(word: &str, guest: &str, xen: &str) -> Result<(), String> {
    let expected = CRASHES.iter().find(|c| c.word == word).unwrap();
    crash(expected, &lines(guest), &lines(xen))
}

#[test]
fn a_whole_dump_is_accepted() {
    assert_eq!(judged("null", DUMP, GONE), Ok(()));
    let panic = "panicked at kernel/src/x.rs:1:2: hm\nbacktrace:\n  ffffffff80101234 grantkit::crash::crash+0x2";
    assert_eq!(judged("panic", panic, GONE), Ok(()));
}

#[test]
fn a_dump_lacking_anything_is_not() {
    assert!(judged("null", DUMP, "").is_err());
    assert!(judged("null", DUMP, KILLED).is_err());
    assert!(judged("null", "", GONE).is_err());
    assert!(judged("null", &DUMP.replace("CR2", "cr3"), GONE).is_err());
    assert!(
        judged("null", &DUMP.replace("crash::", "x::").replace("::crash", "::x"), GONE).is_err()
    );
    assert!(judged("null", &DUMP.replace("grantkit::crash", "_ZN8grantkit5crash"), GONE).is_err());
    assert!(judged("null", &format!("{DUMP}{}", "\nmore".repeat(20)), GONE).is_err());
    assert!(judged("panic", DUMP, GONE).is_err());
    assert!(judged("text", DUMP, GONE).is_err());
    assert!(judged("exec", DUMP, GONE).is_err());
}

#[test]
fn a_crashed_stack_is_xens_to_report() {
    assert_eq!(judged("stack", "", KILLED), Ok(()));
    assert!(judged("stack", DUMP, KILLED).is_err());
    assert!(judged("stack", "", GONE).is_err());
    assert!(judged("stack", "", "").is_err());
}
