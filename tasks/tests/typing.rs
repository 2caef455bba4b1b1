// SPDX-License-Identifier: MIT OR Apache-2.0
//! Typing at the console: editing, history, interrupts, and typing ahead.

mod common;

use common::{ShellGuest, value};
use fake_xen::{Config, ConsoleKind};

/// Types into a fresh shell, then `poweroff`; returns everything printed, and the result lines.
fn typed(text: &str) -> (String, Vec<String>) {
    let guest = ShellGuest::alone();
    guest.run_beside("", async {
        guest.expect("grantkit> ").await;
        guest.xen.console_type(text);
        guest.pause(1).await;
        guest.xen.console_type("\rpoweroff\r");
    });
    let mut results = guest.results();
    assert_eq!(results.pop().as_deref(), Some("ok poweroff"));
    (guest.xen.console_output(), results)
}

#[test]
fn a_program_sees_its_text_and_then_the_answer_on_a_line_of_its_own() {
    let (output, _) = typed("share 2 1\r");
    let session = "ready after 1.9 ms of cpu\r\n\
                   grantkit> share 2 1\r\nok share id=1 domid=2 pages=1 access=rw refs=8\r\n\
                   grantkit> \r\ngrantkit> poweroff\r\nok poweroff\r\n";
    assert_eq!(output, session);
}

#[test]
fn cr_lf_and_crlf_each_end_a_line_once() {
    let (output, results) = typed("sleep 1\rsleep 2\nsleep 3\r\nsleep 4\n\r\n");
    assert_eq!(results, ["ok sleep ms=1", "ok sleep ms=2", "ok sleep ms=3", "ok sleep ms=4"]);
    // The four lines, the empty one, the one that `typed` adds, and poweroff's.
    assert_eq!(output.matches("grantkit> ").count(), 7);
}

#[test]
fn empty_lines_print_nothing_but_the_prompt() {
    let (output, results) = typed("\r\r   \r\t\r");
    assert!(results.is_empty());
    assert!(!output.contains("error"));
}

#[test]
fn backspace_and_delete_take_a_character_back() {
    let (output, results) = typed("slep\x08\x7feep 7x\x7f\r");
    assert_eq!(results, ["ok sleep ms=7"]);
    assert!(output.contains("grantkit> sleep 7\r\n"), "{output:?}");
    let (_, results) = typed("\x08\x7f\x08sleep 8\r");
    assert_eq!(results, ["ok sleep ms=8"]);
}

#[test]
fn a_character_of_several_bytes_is_taken_back_whole() {
    let (output, results) = typed("share 1 1\rwrite 1 0 gr\u{fc}n\u{20ac}\x7f\rread 1 0 5\r");
    assert_eq!(value(&results[1], "len"), "5");
    assert_eq!(value(&results[2], "hex"), "6772c3bc6e");
    assert_eq!(value(&results[2], "text"), "gr..n");
    assert!(output.contains("gr\u{fc}n\r\n"), "{output:?}");
}

#[test]
fn ctrl_u_takes_the_line_and_ctrl_w_the_last_word() {
    let (_, results) = typed("share 2 1\x15sleep 1\r");
    assert_eq!(results, ["ok sleep ms=1"]);
    let (_, results) = typed("sleep 12  nonsense  \x17\r");
    assert_eq!(results, ["ok sleep ms=12"]);
    let (_, results) = typed("nonsense\x17\x17sleep 3\r");
    assert_eq!(results, ["ok sleep ms=3"]);
}

#[test]
fn up_and_down_go_through_earlier_lines() {
    let (up, down) = ("\x1b[A", "\x1bOB");
    let (_, results) = typed(&format!("sleep 1\rsleep 2\r{up}\r{up}{up}\r"));
    assert_eq!(results[2..], ["ok sleep ms=2", "ok sleep ms=1"]);
    let (_, results) = typed(&format!("sleep 1\rsleep 2\rsle{up}{up}{up}{down}{down}{down}ep 9\r"));
    assert_eq!(results[2..], ["ok sleep ms=9"]);
    let (_, results) = typed(&format!("sleep 1\r{up}0\r{down}{down}\r"));
    assert_eq!(results, ["ok sleep ms=1", "ok sleep ms=10"]);
}

#[test]
fn keys_that_mean_nothing_do_nothing() {
    let keys = "\x1b[C\x1b[15~\x1b[1;5C\x1bOP\x00\x1c";
    let (_, results) = typed(&format!("sle{keys}ep 1\r\x1b[A\x15\x1bsleep 2\r"));
    assert_eq!(results, ["ok sleep ms=1", "ok sleep ms=2"]);
}

#[test]
fn no_escape_sequence_is_sent_before_one_was_received() {
    let (output, results) = typed("slep 1\x02\x02\x02\x02e\x0c\r\x12sl\x01\x05\t\r");
    assert_eq!(results, ["ok sleep ms=1", "ok sleep ms=1"]);
    assert!(!output.contains('\x1b'), "{output:?}");
    let (output, results) = typed("sle\x1b[Dep 1\x0c\x1b[Fe\r");
    assert_eq!(
        results,
        [
            "error slep errno=ENOSYS status=- no such command; did you mean sleep, set; help lists all"
        ]
    );
    assert!(output.contains("\x1b[H\x1b[2Jgrantkit> "), "{output:?}");
}

#[test]
fn tab_completes_a_word_or_lists_what_it_could_be() {
    let (output, results) = typed("share 1 2\rsu\t1\runsh\t\t\r");
    assert!(results[1].starts_with("ok sum id=1 "), "{results:?}");
    assert_eq!(results[2], "ok unshare id=1 state=freed");
    assert!(!output.contains("unmap"));
    let (output, results) = typed("port \tof\t2\rse\t\x15\t\r");
    assert!(results[0].starts_with("ok port offer "), "{results:?}");
    assert!(
        output.contains("offer  bind  send  wait  close  \r\ngrantkit> port offer 2"),
        "{output:?}"
    );
    assert!(output.contains("set  selftest  \r\ngrantkit> "), "{output:?}");
}

#[test]
fn tab_on_nothing_and_on_what_nothing_fits_changes_nothing() {
    let (output, results) = typed("\t\t  \tsleep 1\rnosuch\t\x15sleep 2 \t\r");
    assert_eq!(results, ["ok sleep ms=1", "ok sleep ms=2"]);
    assert_eq!(output.lines().count(), 8, "Tab printed no line: {output:?}");
}

#[test]
fn half_an_escape_sequence_costs_at_most_the_next_character() {
    let half = ["\x1b", "\x1b[", "\x1bO", "\x1b[1", "\x1b[1;", "\x1b[1;5"];
    for half in half {
        let (_, results) = typed(&format!("{half}\rsleep 1\r"));
        assert_eq!(results, ["ok sleep ms=1"], "{half:?} before Enter");
        let (_, results) = typed(&format!("{half}\x03sleep 1\r"));
        assert_eq!(results, ["ok sleep ms=1"], "{half:?} before Ctrl-C");
        let (_, results) = typed(&format!("{half}Zsleep 1\r"));
        // A lone ESC starts no sequence that Z could end.
        let refused = results[0].starts_with("error Zsleep errno=ENOSYS ");
        let whole = results[0] == "ok sleep ms=1";
        assert_eq!((whole, refused), (half != "\x1b", half == "\x1b"), "{half:?}: {results:?}");
    }
}

#[test]
fn leaving_the_console_leaves_the_guest_alone() {
    let (output, results) = typed("\x04exit\rquit\r");
    assert_eq!(results, ["ok exit", "ok exit", "ok quit"]);
    assert_eq!(output.matches("Ctrl-] leaves xl's console").count(), 3);
}

#[test]
fn a_line_of_8192_bytes_is_carried_out_and_a_longer_one_dropped_whole() {
    let refs = |len: usize| "8,".repeat(len / 2) + &"8".repeat(len % 2 + 1);
    let line = format!("map 1 {}", refs(8192 - 7));
    assert_eq!(line.len(), 8192);
    let (_, results) = typed(&format!("{line}\r"));
    assert!(results[0].starts_with("error map errno=EINVAL status=general_error "), "{results:?}");
    let (_, results) = typed(&format!("port send {}; \rsleep 1\r", "9".repeat(8200)));
    assert!(results[0].starts_with("error port send errno=E2BIG status=- "), "{results:?}");
    assert_eq!(results[1..], ["ok sleep ms=1"]);
    let (_, results) = typed(&format!("{}\x7f\x7f\r", "9".repeat(8193)));
    assert_eq!(value(&results[0], "errno"), "E2BIG");
    let (_, results) = typed(&format!("{}\x15sleep 2\r", "9".repeat(8193)));
    assert_eq!(results, ["ok sleep ms=2"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_and_the_next_line_is_not() {
    let guest = ShellGuest::alone();
    guest.run_beside("", async {
        guest.ask("share 1 1\r", "ok share").await;
        // The first byte of a character, without the others.
        guest.xen.console_type(b"write 1 0 \xe2x\rsleep 1\rpoweroff\r");
    });
    let results = guest.results();
    assert_eq!(results[1], "error write errno=EINVAL status=- byte 10 of the line is not UTF-8");
    assert_eq!(results[2], "ok sleep ms=1");
}

#[test]
fn ctrl_c_drops_the_line_that_is_being_typed() {
    let (output, results) = typed("poweroff\x03sleep 1\r");
    assert_eq!(results, ["ok sleep ms=1"]);
    assert!(output.contains("grantkit> poweroff^C\r\ngrantkit> sleep 1\r\n"), "{output:?}");
}

#[test]
fn ctrl_c_ends_a_wait_at_once_and_keeps_the_lines_behind_it() {
    let guest = ShellGuest::alone();
    guest.run_beside("", async {
        guest.ask("share 1 1\rmap 1 8\r", "ok map").await;
        for wait in ["wait 1", "wait 1 100000", "sleep 100000", "port wait 3"] {
            guest.ask("port offer 1\r", "ok port offer").await;
            guest.xen.console_type(&format!("{wait}\rsleep 1\rhalf a li"));
            guest.pause(30).await;
            let before = guest.system.now();
            guest.ask("\x03", "ok sleep ms=1").await;
            assert!(guest.system.now() - before < 20 * common::MS);
        }
        guest.xen.console_type("poweroff\r");
    });
    let interrupted = guest.results().into_iter().filter(|line| line.contains("errno=EINTR"));
    let interrupted: Vec<_> = interrupted.collect();
    assert_eq!(
        interrupted,
        ["wait", "wait", "sleep", "port wait"]
            .map(|command| format!("error {command} errno=EINTR status=- interrupted"))
    );
    assert!(!guest.xen.console_output().contains("half"));
    guest.end();
}

#[test]
fn ctrl_c_ends_a_wait_of_the_script_and_the_script_goes_on() {
    let guest = ShellGuest::alone();
    guest.run_beside("-- sleep 1000000; share 2 1; poweroff", async {
        guest.pause(100).await;
        guest.xen.console_type("\x03");
    });
    let results = guest.results();
    assert_eq!(results[0], "error sleep errno=EINTR status=- interrupted");
    assert!(results[1].starts_with("ok share "));
    assert_eq!(results[2], "ok poweroff");
}

#[test]
fn ctrl_c_that_comes_in_one_piece_with_its_wait_ends_it_too() {
    let (_, results) = typed("sleep 1000000\r\x03sleep 1\r");
    assert_eq!(results, ["error sleep errno=EINTR status=- interrupted", "ok sleep ms=1"]);
}

#[test]
fn input_that_arrives_during_a_command_runs_afterwards_in_order() {
    let guest = ShellGuest::alone();
    let burst: String = (0..1000).map(|n| format!("sleep 0x{n:x}\r")).collect();
    assert!(burst.len() > 8192);
    guest.run_beside("-- sleep 2000", async {
        guest.pause(5).await;
        guest.xen.console_type(&burst);
        guest.pause(5).await;
        assert!(guest.results().is_empty());
        guest.xen.console_type("poweroff\r");
    });
    let results = guest.results();
    assert_eq!(results.len(), 1002);
    for (n, line) in results[1..1001].iter().enumerate() {
        assert_eq!(*line, format!("ok sleep ms={n}"));
    }
}

#[test]
fn input_beyond_what_is_kept_waits_in_front_of_the_ring_and_none_is_lost() {
    let guest = ShellGuest::alone();
    let burst: String = (0..4000).map(|n| format!("sum {n}\r")).collect();
    assert!(burst.len() > 2 * 16384);
    guest.run_beside("-- sleep 2000", async {
        guest.pause(5).await;
        guest.xen.console_type(&burst);
        guest.xen.console_type("poweroff\r");
    });
    assert_eq!(guest.results().len(), 4002);
}

#[test]
fn output_goes_on_while_more_is_typed_ahead_than_is_kept() {
    let guest = ShellGuest::alone();
    let helps = "help;".repeat(20);
    let user = async {
        guest.xen.console_type(&"\r".repeat(20_000));
        guest.pause(1000).await;
        assert_eq!(guest.lines_of("ok help").len(), 20);
        guest.xen.console_type("\x03poweroff\r");
    };
    guest.run_beside(&format!("-- sleep 100; {helps} sleep 5000"), user);
    guest.end();
}

#[test]
fn output_that_nobody_takes_waits_and_none_is_lost() {
    let guest = ShellGuest::alone();
    guest.xen.console_daemon(false);
    let commands = "share 2 512; grants; counters; help; ".repeat(2);
    let line = format!("-- {commands} poweroff");
    guest.run_beside(&line, async {
        guest.pause(1000).await;
        assert_eq!(guest.xen.console_output(), "");
        guest.xen.console_daemon(true);
    });
    let results = guest.results();
    assert_eq!(results.len(), 9);
    assert_eq!(value(&results[0], "refs").split(',').count(), 512);
    assert_eq!(value(&results[5], "entries"), "1024");
    let shares = guest.lines().iter().filter(|line| line.starts_with("share ref=")).count();
    assert_eq!(shares, 512 + 1024);
    assert_eq!(guest.services.console.lost(), 0);
    guest.end();
}

#[test]
fn a_guest_that_nobody_reads_ends_all_the_same() {
    let guest = ShellGuest::alone();
    guest.xen.console_daemon(false);
    guest.run("-- status; poweroff");
    assert_eq!(guest.notes.all(), ["\"poweroff\""]);
    // It has only given somebody time to arrive.
    assert!((2000..3000).contains(&(guest.xen.world().now() / common::MS)));
}

#[test]
fn the_console_of_xen_itself_works_as_well() {
    let config = Config { console: ConsoleKind::Hypervisor, ..Config::default() };
    let guest = ShellGuest::alone_with(0, config);
    guest.run_beside("-- share 0 1", async {
        guest.ask("map 0 8\r", "ok map").await;
        guest.ask("sleep 100000\r", "sleep 100000").await;
        guest.ask("\x03", "errno=EINTR").await;
        guest.xen.console_type("poweroff\n");
    });
    assert_eq!(guest.results().len(), 4);
    assert!(!guest.xen.console_output().contains('\r'));
    guest.end();
}

#[test]
fn an_answer_starts_a_line_even_after_somebody_left_one_unfinished() {
    let guest = ShellGuest::alone();
    guest.services.console.print_now(b"half a line");
    guest.run_beside("-- sleep 1; poweroff", async {
        guest.services.console.print_now(b"and more");
    });
    let lines = guest.lines();
    assert!(lines.contains(&"ok sleep ms=1".to_owned()), "{lines:?}");
}

#[test]
fn whatever_is_typed_every_line_has_one_answer_and_nothing_is_left() {
    let words = [
        "share",
        "map",
        "read",
        "write",
        "fill",
        "sum",
        "state",
        "wait",
        "notify",
        "unmap",
        "unshare",
        "grants",
        "port",
        "offer",
        "bind",
        "send",
        "close",
        "status",
        "counters",
        "set",
        "gntalloc.limit",
        "gntdev.limit",
        "help",
        "sleep",
        "1",
        "1",
        "1",
        "2",
        "3",
        "4",
        "8",
        "8,9",
        "0",
        "ro",
        "byte=1",
        "event=3",
        "4095",
        "0x7ff0",
        "-1",
        "18446744073709551615",
        ",",
        "=",
        "\u{20ac}",
        "panic",
        "demo",
    ];
    for seed in 1..=20 {
        let guest = ShellGuest::alone();
        let mut state = seed;
        let mut pick = move |below: usize| {
            state = u64::wrapping_mul(state, 6364136223846793005).wrapping_add(seed);
            (state >> 33) as usize % below
        };
        guest.run_beside("", async {
            for answers in 1..=100 {
                let line: Vec<_> = (0..=pick(4)).map(|_| words[pick(words.len())]).collect();
                guest.xen.console_type(&format!("{}\r", line.join(" ")));
                guest.pause(20).await;
                // A wait that never ends by itself.
                while guest.results().len() < answers {
                    guest.xen.console_type("\x03");
                    guest.pause(20).await;
                }
                assert_eq!(guest.results().len(), answers, "{line:?}: {:?}", guest.lines().last());
            }
            guest.xen.console_type("poweroff\r");
        });
        assert!(!guest.xen.console_output().contains('\x1b'));
        guest.end();
    }
}
