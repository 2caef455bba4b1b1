// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest itself: its options, its help, its start and its end.

mod common;

use common::{ShellGuest, of_error, script};

#[test]
fn options_are_set_while_the_guest_runs() {
    let results = script(
        "set gntalloc.limit 2; share 2 3; set gntalloc.limit 0x10; share 2 3; set gntdev.limit 2; \
         map 1 8,9,10; set gntdev.limit 0; set gntdev.limit 1000000; set loglevel loud; \
         set speed 9; \
         set gntalloc.limit many",
    );
    assert_eq!(results[0], "ok set option=gntalloc.limit value=2");
    assert_eq!(of_error(&results[1]), "ENOSPC -");
    assert!(results[3].starts_with("ok share id=1 "));
    assert_eq!(of_error(&results[5]), "ENOMEM -");
    for line in &results[6..] {
        assert_eq!(of_error(line), "EINVAL -", "{line}");
    }
}

#[test]
fn a_new_gntdev_limit_leaves_earlier_maps_alone() {
    let results = script(
        "share 1 3; map 1 8; set gntdev.limit 2; map 1 9,10; map 1 8 ro; state 2; sum 2; \
         unmap 2; map 1 8,9,10",
    );
    assert!(results[3].starts_with("ok map id=3 "));
    assert_eq!(of_error(&results[4]), "ENOMEM -");
    assert_eq!(results[5], "ok state id=2 pages=1 states=mapped-rw*1");
    assert!(results[7].starts_with("ok unmap "));
}

#[test]
fn options_of_the_command_line_are_set_and_wrong_ones_stop_nothing() {
    let guest = ShellGuest::alone();
    let line = "gntalloc.limit=3 quiet gntdev.limit=0 loglevel=debug root=/dev/xvda gntdev.limit=x \
                -- share 2 4; share 2 3; poweroff";
    guest.run(line);
    let results = guest.results();
    for line in &results[..4] {
        assert!(line.starts_with("error cmdline errno=EINVAL status=- "), "{line}");
    }
    assert!(results[0].contains("\"quiet\""), "{}", results[0]);
    assert!(results[2].contains("\"root\""), "{}", results[2]);
    assert_eq!(of_error(&results[4]), "ENOSPC -");
    assert!(results[5].starts_with("ok share "));
    assert_eq!(guest.notes.all(), ["Debug", "\"poweroff\""]);
}

#[test]
fn a_prompt_for_people_has_the_domains_name_and_number() {
    for (name, daemon, prompt) in [
        ("granter", true, "granter(1)> "),
        ("a b\x1b", true, "grantkit(1)> "),
        ("granter", false, "grantkit(1)> "),
    ] {
        let guest = ShellGuest::alone();
        guest.xen.world().xenstore_write("/local/domain/1/name", name);
        guest.xen.world().xenstore_daemon(daemon);
        guest.run_beside("prompt=name", async {
            guest.expect(prompt).await;
            guest.xen.console_type("poweroff\r");
        });
        assert_eq!(guest.results(), ["ok poweroff"]);
    }
    let guest = ShellGuest::alone();
    guest.run("prompt=plain prompt=fancy -- poweroff");
    let refused = "error cmdline errno=EINVAL status=- prompt \"fancy\" is neither plain nor name";
    assert_eq!(guest.results(), [refused, "ok poweroff"]);
}

#[test]
fn a_script_that_was_cut_off_does_not_run_but_the_shell_does() {
    let guest = ShellGuest::alone();
    let line = format!("-- share 2 1;{}", "x".repeat(1023 - 13));
    guest.run_beside(&line, async {
        guest.expect("grantkit> ").await;
        guest.xen.console_type("poweroff\n");
    });
    let results = guest.results();
    assert!(results[0].starts_with("error cmdline errno=E2BIG status=- "), "{results:?}");
    assert_eq!(results[1..], ["ok poweroff"]);
}

#[test]
fn help_lists_every_command_and_what_it_takes() {
    let results = script("help; help port; help port offer; help read");
    let all = "share,map,read,write,fill,sum,state,wait,notify,unmap,unshare,grants,peers,offer,take,\
               port,xs,vchan,status,counters,top,set,crash,selftest,demo,help,sleep,exit,quit,poweroff,reboot";
    assert_eq!(results[0], format!("ok help commands={all}"));
    assert_eq!(results[1], "ok help commands=port");
    assert_eq!(results[2], "ok help commands=port");
    assert_eq!(results[3], "ok help commands=read");
}

#[test]
fn help_fits_the_screen_of_a_console() {
    let guest = ShellGuest::alone();
    guest.run_beside("-- help", async {
        guest.expect("grantkit> ").await;
        guest.ask("?\r", "ok help").await;
        guest.ask("help port send\r", "ok help").await;
        guest.xen.console_type("poweroff\r");
    });
    let output = guest.xen.console_output();
    let (help, rest) = output.split_once("grantkit> ").expect("a prompt");
    let rows = |text: &str| text.lines().map(|line| line.len().div_ceil(80)).sum::<usize>();
    assert!(rows(help) <= 22, "{help}");
    assert!(help.contains("\n  events    port offer|bind|send|wait|close\r\n"), "{help}");
    assert!(rest.contains("\nport send <port>\r\n    sends an event: port send 5\r\n"), "{rest}");
}

#[test]
fn sleeping_takes_the_time_it_was_told() {
    let guest = ShellGuest::alone();
    guest.run("-- sleep 1500; poweroff");
    assert_eq!(guest.results()[0], "ok sleep ms=1500");
    assert_eq!(guest.system.now() / common::MS, 1500);
}

#[test]
fn the_guest_ends_as_it_is_told() {
    let kinds = ["Panic", "Null", "Text", "Rodata", "Exec", "Stack"];
    for kind in kinds {
        let guest = ShellGuest::alone();
        let line = format!("-- crash {}; status", kind.to_lowercase());
        guest.run(&line);
        assert_eq!(guest.results(), ["ok crash"]);
        assert_eq!(guest.notes.all(), [kind]);
    }
    let guest = ShellGuest::alone();
    guest.run("-- reboot; status");
    assert_eq!(guest.results(), ["ok reboot"]);
    assert_eq!(guest.notes.all(), ["\"reboot\""]);
}

#[test]
fn a_guest_that_ends_lets_go_of_everything_and_tells_its_peers() {
    let guest = ShellGuest::alone();
    let line = "-- port offer 1; port bind 1 3; port wait 4; share 1 1; map 1 8; \
                notify 2 byte=0 event=3; write 1 0 x; poweroff";
    guest.run(line);
    assert_eq!(guest.services.gntalloc.in_use(), 0);
    guest.end();
}

#[test]
fn empty_commands_print_nothing_and_a_failing_one_ends_nothing() {
    let guest = ShellGuest::alone();
    guest.run("-- ;; nonsense ; ;share 2 1;;poweroff");
    let lines = guest.lines();
    assert_eq!(lines[1..], guest.results()); // the first line is about the boot
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn a_guest_says_what_its_boot_took_before_anything_else() {
    let guest = ShellGuest::alone();
    guest.run("-- poweroff");
    assert_eq!(guest.lines().first().map(String::as_str), Some("ready after 1.9 ms of cpu"));
    guest.end();
}
