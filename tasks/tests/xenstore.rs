// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shell's xenstore commands, and the guest's behaviour under xl.

mod common;

use std::cell::Cell;

use common::{ShellGuest, said, script, value};
use fake_xen::{Config, ConsoleKind};

const SHUTDOWN: &str = "/local/domain/1/control/shutdown";

#[test]
fn nodes_are_written_read_listed_and_removed() {
    let results = script(
        "xs write data/a/b one  two ; xs read data/a/b; xs write data/a/c x; xs list data/a; \
         xs rm data/a; xs read data/a; xs list /local/domain; xs read /local/domain/9/data; \
         xs read domid",
    );
    assert_eq!(results[0], "ok xs write path=data/a/b value=one  two");
    assert_eq!(results[1], "ok xs read path=data/a/b value=one  two");
    assert_eq!(results[3], "ok xs list path=data/a names=b,c");
    assert_eq!(results[4], "ok xs rm path=data/a");
    for (line, errno) in [(5, "ENOENT"), (6, "EACCES"), (7, "EACCES")] {
        assert_eq!(value(&results[line], "errno"), errno);
        assert_eq!(value(&results[line], "status"), "-");
    }
    assert!(results[7].contains("\"/local/domain/9/data\""), "{}", results[7]);
    assert_eq!(results[8], "ok xs read path=domid value=1");
}

#[test]
fn a_value_with_control_bytes_does_not_break_the_line() {
    let guest = ShellGuest::alone();
    guest.xen.world().xenstore_publish(1, "data/odd", b"a\r\nok xs read\x1b[2J\\\xff\0");
    guest.run("-- xs read data/odd; poweroff");
    let results = guest.results();
    assert_eq!(results.len(), 2);
    let plain = r"ok xs read path=data/odd value=a\x0d\x0aok xs read\x1b[2J\x5c\xff\x00";
    assert_eq!(results[0], plain);
}

#[test]
fn what_is_wrong_with_a_path_or_missing_is_an_error_line() {
    let results = script(
        "xs read; xs read a b; xs write data/a; xs rm; xs list; xs read a//b; xs write control/x 1",
    );
    let errnos: Vec<_> = results.iter().map(|line| value(line, "errno")).collect();
    assert_eq!(errnos[..6], ["EINVAL"; 6]);
    assert_eq!(errnos[6], "EACCES");
    let guest = ShellGuest::alone();
    let user = async {
        let long = "x".repeat(2100);
        let line = guest.ask(&format!("xs read {long}\r"), "error xs").await;
        assert_eq!(value(&line, "errno"), "E2BIG");
        let line = guest.ask(&format!("xs write /{long} {long}\r"), "error xs").await;
        assert_eq!(value(&line, "errno"), "E2BIG");
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", user);
}

#[test]
fn without_xenstore_each_command_is_one_error_line() {
    let config = Config { console: ConsoleKind::Hypervisor, ..Config::default() };
    let guest = ShellGuest::alone_with(0, config);
    let line = "-- xs read a; xs write a b; xs list a; xs rm a; poweroff";
    guest.run(line);
    let results = guest.results();
    assert_eq!(results.len(), 5);
    for line in &results[..4] {
        assert_eq!(value(line, "errno"), "ENODEV", "{line}");
    }
}

#[test]
fn an_answer_that_does_not_come_ends_in_time() {
    let guest = ShellGuest::alone();
    guest.xen.world().xenstore_daemon(false);
    guest.run("-- xs read domid; poweroff");
    assert_eq!(value(&guest.results()[0], "errno"), "ETIMEDOUT");
}

#[test]
fn a_guest_that_is_up_says_so_and_obeys_xl() {
    for (word, ending) in [("poweroff", "\"poweroff\""), ("reboot", "\"reboot\"")] {
        let guest = ShellGuest::alone();
        let xl = async {
            guest.pause(10).await;
            assert_eq!(
                guest.xen.world().xenstore_read("/local/domain/1/data/grantkit/state").unwrap(),
                "ready"
            );
            // A command that waits for ever doesn't keep the guest from ending.
            guest.xen.console_type("port offer 2\rport wait 3\r");
            guest.pause(20).await;
            guest.xen.world().xenstore_write(SHUTDOWN, word);
        };
        guest.xen.world().run([guest.task("-- share 1 2; map 1 8,9", xl)]);
        assert_eq!(guest.xen.world().xenstore_read(SHUTDOWN).as_deref(), Some(""));
        assert_eq!(guest.notes.all(), [ending]);
        guest.end();
    }
}

#[test]
fn xl_shutdown_is_obeyed_whatever_xenstore_refuses_before_and_after() {
    // From the first request on, and from the moment the word is written.
    for (early, late) in [(8, 0), (0, 3), (2, 12)] {
        for name in ["EAGAIN", "EACCES", "ENOSPC", "EQUOTA", "ENOMEM", "EBUSY", "EIO"] {
            // An EIO for the watch means a broken connection.
            let early = if name == "EIO" { 0 } else { early };
            let guest = ShellGuest::alone();
            (1..=early).for_each(|nth| guest.xen.xenstore_fail(nth, name));
            let xl = async {
                guest.pause(2000).await;
                (1..=late).for_each(|nth| guest.xen.xenstore_fail(nth, name));
                guest.xen.world().xenstore_write(SHUTDOWN, "poweroff");
            };
            guest.run_beside("", xl);
            assert_eq!(guest.notes.all(), ["\"poweroff\""], "{name} {early} {late}");
            let took = guest.system.now() / common::MS;
            assert!(took <= 2000 + 100 * late + 200, "{name}: {took} ms");
            guest.end();
        }
    }
}

#[test]
fn halt_powers_off_and_crash_crashes_and_both_are_acknowledged_before() {
    for (word, ending) in [("halt", "\"poweroff\""), ("crash", "Panic")] {
        let guest = ShellGuest::alone();
        let xl = async {
            guest.pause(10).await;
            guest.xen.world().xenstore_write(SHUTDOWN, word);
        };
        guest.run_beside("", xl);
        assert_eq!(guest.xen.world().xenstore_read(SHUTDOWN).as_deref(), Some(""), "{word}");
        assert_eq!(guest.notes.all(), [ending]);
        guest.end();
    }
}

#[test]
fn words_of_xl_that_are_not_obeyed_are_acknowledged_with_one_line_each() {
    let guest = ShellGuest::alone();
    said::listen();
    let xl = async {
        guest.pause(50).await;
        for (word, line) in [
            ("suspend", "cannot be suspended"),
            ("s3", "s3 is ignored"),
            ("\x1b[2J\n", r"\x1b[2J\x0a is ignored"),
            (&"w".repeat(1000), "wwwwwwwwwwwwwwww is ignored"),
        ] {
            guest.xen.world().xenstore_write(SHUTDOWN, word);
            guest.pause(50).await;
            assert_eq!(guest.xen.world().xenstore_read(SHUTDOWN).as_deref(), Some(""), "{word}");
            let said = said::take();
            assert!(said.len() == 1 && said[0].contains(line), "{said:?}");
        }
        assert!(guest.notes.all().is_empty());
        guest.xen.world().xenstore_write(SHUTDOWN, "poweroff");
    };
    guest.run_beside("", xl);
    assert_eq!(guest.notes.all(), ["\"poweroff\""]);
    guest.end();
}

#[test]
fn a_word_that_is_written_while_another_is_declined_is_heard() {
    // At each of the guest's moments from the first one on.
    for moment in 0..300 {
        let guest = ShellGuest::alone();
        let world = guest.xen.world().clone();
        let (since, heard) = (Cell::new(None), Cell::new(false));
        let xl = async {
            guest.pause(50).await;
            world.xenstore_write(SHUTDOWN, "suspend");
            since.set(Some(0));
            guest.pause(100).await;
            if !heard.replace(true) {
                world.xenstore_write(SHUTDOWN, "poweroff");
            }
        };
        let second = |_| {
            let now = since.get();
            since.set(now.map(|now| now + 1));
            if now == Some(moment) && !heard.replace(true) {
                world.xenstore_write(SHUTDOWN, "poweroff");
            }
        };
        guest.xen.interleave(second, || guest.run_beside("", xl));
        assert_eq!(guest.notes.all(), ["\"poweroff\""], "at {moment}");
        guest.end();
    }
}

#[test]
fn what_the_guest_can_do_is_in_xenstore_and_a_key_of_linuxs_is_declined() {
    let guest = ShellGuest::alone();
    let control = |node: &str| format!("/local/domain/1/control/{node}");
    said::listen();
    let xl = async {
        guest.pause(50).await;
        for (feature, value) in [("poweroff", "1"), ("reboot", "1"), ("suspend", "0")] {
            let said = guest.xen.world().xenstore_read(&control(&format!("feature-{feature}")));
            assert_eq!(said.as_deref(), Some(value), "{feature}");
        }
        guest.xen.world().xenstore_write(&control("sysrq"), "h");
        guest.pause(50).await;
        assert_eq!(said::take(), ["control/sysrq: h is ignored; this guest has no such keys"]);
        assert_eq!(guest.xen.world().xenstore_read(&control("sysrq")).as_deref(), Some(""));
        guest.xen.console_type("poweroff\r");
    };
    guest.run_beside("", xl);
    guest.end();
}

#[test]
fn a_word_that_cannot_be_acknowledged_is_obeyed_all_the_same() {
    let guest = ShellGuest::alone();
    let xl = async {
        guest.pause(2000).await;
        (1..=60).for_each(|nth| {
            // Every other request, so that reading it succeeds now and then.
            if nth % 2 == 0 {
                guest.xen.xenstore_fail(nth, "EACCES");
            }
        });
        guest.xen.world().xenstore_write(SHUTDOWN, "poweroff");
    };
    guest.run_beside("", xl);
    assert_eq!(guest.notes.all(), ["\"poweroff\""]);
    guest.end();
}

#[test]
fn a_xenstore_that_refuses_or_breaks_does_not_keep_the_shell_from_its_work() {
    for nth in 1..=4 {
        for name in ["EAGAIN", "EACCES", "ENOSPC", "EQUOTA"] {
            let guest = ShellGuest::alone();
            guest.xen.xenstore_fail(nth, name);
            guest.run("-- sleep 100; status; poweroff");
            assert_eq!(guest.results().len(), 3);
        }
    }
    let guest = ShellGuest::alone();
    let breaker = async {
        guest.pause(5).await;
        guest.xen.xenstore_index(true, 123_456);
    };
    guest.run_beside("-- sleep 10; xs read domid; poweroff", breaker);
    assert_eq!(value(&guest.results()[1], "errno"), "EIO");
}
