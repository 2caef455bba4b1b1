// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that fail: every error line.

mod common;

use common::{ShellGuest, of_error, one, refusal, script, value};
use drivers::{Call, Errno};
use fake_xen::Config;

#[test]
fn an_id_of_the_other_kind_is_as_unknown_as_one_that_never_was() {
    let results = script(
        "share 1 1; map 1 8; unmap 1; unshare 2; wait 2; unmap 9; unshare 9; wait 9; read 9 0 1; \
         write 9 0 a; fill 9 1; sum 9; notify 9; unmap 2; unmap 2",
    );
    for line in &results[2..13] {
        assert_eq!(of_error(line), "ENOENT -", "{line}");
    }
    assert_eq!(results[13], "ok unmap id=2 state=unmapped");
    assert_eq!(of_error(&results[14]), "ENOENT -");
}

#[test]
fn what_lies_outside_the_pages_is_refused() {
    let results = script(
        "share 2 1; read 1 4096 1; read 1 0 257; read 1 18446744073709551615 2; write 1 4095 ab; \
         notify 1 byte=4096; read 1 4095 1",
    );
    for line in &results[1..6] {
        assert_eq!(of_error(line), "EINVAL -", "{line}");
    }
    assert!(results[6].starts_with("ok read "));
}

#[test]
fn a_refused_map_tells_xens_status_and_the_first_reference_it_refused() {
    let results =
        script("share 1 3 ro; map 1 8,9 ro; map 1 8,10; map 1 8,2000000,9 ro; map 32736 8; grants");
    assert_eq!(
        results[2],
        "error map errno=EINVAL status=general_error Xen refused reference 8: general_error (-1)"
    );
    assert_eq!(
        results[3],
        "error map errno=EINVAL status=bad_gntref Xen refused reference 2000000: bad_gntref (-3)"
    );
    assert_eq!(of_error(&results[4]), "EINVAL bad_domain");
    assert_eq!(results[5], "ok grants entries=5");
}

#[test]
fn a_refused_map_tells_what_xen_said_to_each_reference() {
    let guest = ShellGuest::alone();
    let line = "-- share 1 2; share 2 9; map 1 8,2000000,10,9 ro; \
                map 1 10,11,12,13,14,15,16,17,18,8,9; set gntdev.limit 1; map 1 10,11; poweroff";
    guest.run(line);
    let lines = guest.lines();
    let failed = |nth| {
        let results = lines.iter().enumerate().filter(|(_, line)| line.starts_with("error map "));
        results.map(|(at, _)| at).nth(nth).expect("a map that failed")
    };
    let first = failed(0);
    assert_eq!(
        lines[first - 2..=first],
        [
            "refused ref=2000000 peer=1: bad_gntref (-3)",
            "refused ref=10 peer=1: general_error (-1)",
            "error map errno=EINVAL status=bad_gntref \
             Xen refused reference 2000000: bad_gntref (-3)"
        ]
    );
    // The first ones of many; and none if Xen was not asked.
    let told = &lines[first + 1..failed(1)];
    assert_eq!(told.len(), 9);
    assert_eq!(told[7..], ["refused ref=17 peer=1: general_error (-1)", "refused 1 more"]);
    assert_eq!(failed(2), failed(1) + 2);
    guest.end();
}

#[test]
fn a_map_that_xen_has_no_room_for_is_out_of_memory() {
    let guest = ShellGuest::alone_with(1, Config { max_maptrack_frames: 1, ..Config::default() });
    let list = |gref| vec![gref; 100].join(",");
    let (eight, nine) = (list("8"), list("9"));
    let line =
        format!("-- share 1 2; map 1 {eight}; map 1 {nine}; map 1 {eight} ro; status; poweroff");
    guest.run(&line);
    let results = guest.results();
    assert_eq!(of_error(&results[3]), "ENOMEM no_space");
    assert!(results[3].contains("reference 8"), "{}", results[3]);
    assert_eq!(value(&results[4], "maps"), "200");
}

#[test]
fn shares_beyond_the_limit_the_table_or_memory_are_refused_each_in_its_way() {
    assert_eq!(refusal("share 2 1025"), "ENOSPC -");
    assert_eq!(refusal("share 2 4294967295"), "ENOSPC -");
    assert_eq!(refusal("share 2 4294967296"), "EINVAL -");
    let small = |config| {
        let guest = ShellGuest::alone_with(1, config);
        guest.run("-- share 2 505; share 2 2; poweroff");
        (of_error(&guest.results()[0]), guest.results()[1].clone())
    };
    let table = small(Config { max_grant_frames: 1, ..Config::default() });
    assert_eq!(table.0, "ENOSPC -");
    let memory = small(Config { pages: 500, ..Config::default() });
    assert_eq!(memory.0, "ENOMEM -");
    assert_eq!(value(&memory.1, "pages"), "2");
}

#[test]
fn missing_extra_and_malformed_arguments_name_the_input_and_what_is_right() {
    let cases = [
        ("share", "<domid> is missing"),
        ("share 2", "<pages> is missing"),
        ("share 2x 1", "<domid> \"2x\" is no number of 16 bits"),
        ("share 65536 1", "<domid> \"65536\" is no number of 16 bits"),
        ("share 32752 1", "<domid> \"32752\" is a reserved number"),
        ("share 2 -1", "<pages> \"-1\" is no number of 32 bits"),
        ("share 2 1 rw", "\"rw\" is not \"ro\""),
        ("share 2 1 ro now", "\"now\" is too much"),
        ("map 2", "<ref,ref,...> is missing"),
        ("map 2 8,,9", "reference \"\" is no number of 32 bits"),
        ("map 2 8, 9", "reference \"\" is no number of 32 bits"),
        ("map 2 8-9", "reference \"8-9\" is no number"),
        ("map 70000 8", "<domid> \"70000\" is no number of 16 bits"),
        ("read 1 2", "<len> is missing"),
        ("write 1 0", "<text> is missing"),
        ("fill 1 0x10000000000000000", "is no number of 64 bits"),
        ("sum 1 2", "\"2\" is too much"),
        ("wait 1 soon", "[ms] \"soon\" is no number"),
        ("notify 1 bite=3", "\"bite=3\" is neither byte=<offset> nor event=<port>"),
        ("notify 1 byte=3 byte=4", "\"byte=4\" is neither"),
        ("notify 1 event=x", "event \"x\" is no number of 32 bits"),
        ("grants 0x", "<domid> \"0x\" is no number"),
        ("grants 1 2", "\"2\" is too much"),
        ("status now", "\"now\" is too much"),
        ("counters now", "\"now\" is too much"),
        ("selftest now", "\"now\" is too much"),
        ("port offer", "<domid> is missing"),
        ("port bind 1", "<port> is missing"),
        ("set loglevel", "<value> is missing"),
        ("crash", "how to crash is missing"),
        ("crash gently", "\"gently\" is no way to crash"),
        ("sleep", "<ms> is missing"),
        ("poweroff now", "\"now\" is too much"),
        ("reboot now", "\"now\" is too much"),
        ("help share it now", "\"now\" is too much"),
    ];
    let commands: Vec<_> = cases.iter().map(|(command, _)| *command).collect();
    let results =
        script(&commands[..20].join(";")).into_iter().chain(script(&commands[20..].join(";")));
    for (line, (command, words)) in results.zip(cases) {
        assert_eq!(of_error(&line), "EINVAL -", "{command}");
        assert!(line.contains(words), "{command}: {line}");
        assert!(line.contains("; usage: "), "{command}: {line}");
    }
}

#[test]
fn an_unknown_word_is_enosys_and_names_near_ones() {
    assert_eq!(
        one("shar 1 2"),
        "error shar errno=ENOSYS status=- no such command; did you mean share; help lists all"
    );
    for word in ["lend", "bench", "OK"] {
        let line = one(&format!("{word} 1 2"));
        assert!(line.starts_with(&format!("error {word} errno=ENOSYS status=- ")), "{line}");
    }
    let port = "error port errno=EINVAL status=- the commands of this word are \"port offer\" \
                \"port bind\" \"port send\" \"port wait\" \"port close\"";
    assert_eq!(one("port"), port);
    assert_eq!(one("port open 3"), port);
    assert_eq!(refusal("help shar"), "EINVAL -");
}

#[test]
fn a_notification_can_be_refused() {
    let results =
        script("share 1 1; map 1 8 ro; notify 2 byte=0; notify 2 event=99; notify 1 event=99");
    for line in &results[2..] {
        assert_eq!(of_error(line), "EINVAL -", "{line}");
    }
}

#[test]
fn a_map_that_cannot_be_undone_is_an_error_and_its_pages_are_tried_again() {
    let guest = ShellGuest::alone();
    let user = async {
        guest.expect("ok map ").await;
        guest.xen.deny(Call::GnttabUnmap, Some(Errno::EINVAL));
        guest.ask("unmap 2\rstatus\r", "ok status ").await;
        guest.xen.deny(Call::GnttabUnmap, None);
        guest.ask("state 1\rstatus\r", "ok status ").await;
        guest.xen.console_type("state 1\rpoweroff\r");
    };
    guest.run_beside("-- share 1 1; map 1 8", user);
    let results = guest.results();
    assert!(results[2].starts_with("error unmap errno=EINVAL "), "{}", results[2]);
    assert_eq!(value(&results[3], "maps"), "1");
    assert!(results[4].ends_with("states=mapped-rw*1"));
    assert_eq!(value(&results[5], "maps"), "0");
    assert!(results[6].ends_with("states=idle*1"));
    guest.end();
}
