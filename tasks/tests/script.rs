//! Commands from the kernel command line: every ok line, and every error.

mod common;

use common::{Guest, script, value};
use drivers::{Call, Errno, Hypervisor};
use fake_xen::{Config, Fault, World};

/// The one result line of one command.
fn one(command: &str) -> String {
    let results = script(command);
    assert_eq!(results.len(), 1, "{results:?}");
    results[0].clone()
}

/// `errno=... status=...` of a command's one line.
fn refusal(command: &str) -> String {
    of_error(&one(command))
}

fn of_error(line: &str) -> String {
    assert!(line.starts_with("error "), "{line}");
    format!("{} {}", value(line, "errno"), value(line, "status"))
}

#[test]
fn a_share_tells_its_id_and_its_references() {
    assert_eq!(one("share 2 3"), "ok share id=1 domid=2 pages=3 access=rw refs=8,9,10");
    assert_eq!(one("share 0x7fef 1 ro"), "ok share id=1 domid=32751 pages=1 access=ro refs=8");
}

#[test]
fn only_success_takes_an_id_and_none_is_used_twice() {
    let results = script("share 2 0; share 2 1; unshare 1; share 2 1; map 1 8; share 1 1");
    assert_eq!(of_error(&results[0]), "EINVAL -");
    assert_eq!(value(&results[1], "id"), "1");
    assert_eq!(results[2], "ok unshare id=1 state=freed");
    assert_eq!(value(&results[3], "id"), "2");
    assert_eq!(of_error(&results[4]), "EINVAL general_error");
    assert_eq!(value(&results[5], "id"), "3");
}

#[test]
fn a_map_of_our_own_pages_shows_what_was_written() {
    let results = script(
        "share 1 2; map 1 8,9; write 1 4094 a  b c ; read 2 4090 12; write 2 0 back; read 1 0 4; \
         read 1 8192 0; unmap 2; unshare 1",
    );
    let map = &results[1];
    assert!(map.starts_with("ok map id=2 domid=1 pages=2 access=rw va="), "{map}");
    assert_eq!(results[2], "ok write id=1 offset=4094 len=6");
    let read = "ok read id=2 offset=4090 len=12 hex=000000006120206220630000 text=....a  b c..";
    assert_eq!(results[3], read);
    assert_eq!(results[5], "ok read id=1 offset=0 len=4 hex=6261636b text=back");
    assert_eq!(results[6], "ok read id=1 offset=8192 len=0 hex= text=");
    assert_eq!(results[7], "ok unmap id=2 state=unmapped");
}

#[test]
fn sixty_four_pages_filled_from_seed_42_have_the_documented_sum_on_both_sides() {
    let refs: Vec<_> = (8..72).map(|gref: u32| gref.to_string()).collect();
    let results =
        script(&format!("share 1 64; map 1 {} ro; fill 1 42; sum 2; fill 2 1", refs.join(",")));
    assert_eq!(results[2], "ok fill id=1 bytes=262144 crc32=95539f90");
    assert_eq!(results[3], "ok sum id=2 bytes=262144 crc32=95539f90");
    assert_eq!(of_error(&results[4]), "EACCES -");
}

#[test]
fn ranges_of_any_length_are_filled_and_summed_whole() {
    let results =
        script("share 1 65; fill 1 0x2a; sum 1; share 1 64; fill 2 42; write 1 266239 !; sum 1");
    assert_eq!(value(&results[1], "bytes"), "266240");
    assert_eq!(value(&results[1], "crc32"), value(&results[2], "crc32"));
    assert_eq!(value(&results[4], "crc32"), "95539f90");
    assert_ne!(value(&results[2], "crc32"), value(&results[6], "crc32"));
}

#[test]
fn the_state_is_told_in_runs_in_page_order() {
    let results =
        script("share 1 5; state 1; map 1 8,9; map 1 11 ro; state 1; state 2; state 3; state 4");
    assert_eq!(results[1], "ok state id=1 pages=5 states=idle*5");
    assert_eq!(results[4], "ok state id=1 pages=5 states=mapped-rw*2,idle*1,mapped-ro*1,idle*1");
    assert_eq!(results[5], "ok state id=2 pages=2 states=mapped-rw*2");
    assert_eq!(results[6], "ok state id=3 pages=1 states=mapped-ro*1");
    assert_eq!(of_error(&results[7]), "ENOENT -");
}

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
fn a_map_that_xen_has_no_room_for_is_out_of_memory() {
    let world = World::new();
    let guest = Guest::with(&world, 1, Config { max_maptrack_frames: 1, ..Config::default() });
    let list = |gref| vec![gref; 100].join(",");
    let (eight, nine) = (list("8"), list("9"));
    let line =
        format!("-- share 1 2; map 1 {eight}; map 1 {nine}; map 1 {eight} ro; status; poweroff");
    world.run([guest.task(&line, async {})]);
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
        let world = World::new();
        let guest = Guest::with(&world, 1, config);
        world.run([guest.task("-- share 2 505; share 2 2; poweroff", async {})]);
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
        ("share two 1", "<domid> \"two\" is no number of 16 bits"),
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
        ("grants x", "<domid> \"x\" is no number"),
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
    for word in ["vchan", "bench", "OK"] {
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
fn events_go_through_a_channel_of_our_own() {
    let results = script(
        "port offer 1; port bind 1 3; port wait 4; port wait 4 5; port send 3; port wait 4 5; \
         port send 4; port wait 3 5; port close 3; port close 4; port send 4; port bind 1 3; \
         port bind 9 3; port close 2",
    );
    assert_eq!(results[0], "ok port offer port=3");
    assert_eq!(results[1], "ok port bind port=4");
    // Binding rings once, in case the peer has sent before.
    assert_eq!(results[2], "ok port wait port=4");
    assert_eq!(results[3], "error port wait errno=ETIMEDOUT status=- waited 5 ms");
    assert_eq!(results[4], "ok port send port=3");
    assert_eq!(results[5], "ok port wait port=4");
    assert_eq!(results[7], "ok port wait port=3");
    assert_eq!(results[8], "ok port close port=3");
    assert_eq!(of_error(&results[10]), "ENOENT -");
    assert_eq!(of_error(&results[11]), "EINVAL -");
    assert_eq!(of_error(&results[12]), "ESRCH -");
    assert_eq!(of_error(&results[13]), "ENOENT -", "the console's port is not the shell's");
}

#[test]
fn a_notification_clears_its_byte_and_rings() {
    let results = script(
        "port offer 1; port bind 1 3; port wait 4; share 1 2; map 1 8,9; write 1 5000 xyz; \
         notify 2 byte=5001 event=3; unmap 2; port wait 4 10; read 1 5000 3; notify 1 event=3; \
         notify 1; unshare 1; port wait 4 5",
    );
    assert_eq!(results[6], "ok notify id=2 byte=5001 event=3");
    assert_eq!(results[8], "ok port wait port=4");
    assert_eq!(value(&results[9], "hex"), "78007a");
    assert_eq!(results[10], "ok notify id=1 byte=- event=3");
    assert_eq!(results[11], "ok notify id=1 byte=- event=-");
    assert_eq!(of_error(&results[13]), "ETIMEDOUT -");
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
fn waiting_for_pages_nobody_maps_takes_no_time() {
    let results = script("share 1 1; wait 1; map 1 8; wait 1 25; wait 1 0");
    assert_eq!(results[1], "ok wait id=1 waited=0");
    assert_eq!(results[3], "error wait errno=ETIMEDOUT status=- waited 25 ms");
    assert_eq!(of_error(&results[4]), "ETIMEDOUT -");
}

#[test]
fn grants_lists_what_is_granted_mapped_and_parked() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    let line = "-- share 1 2; share 2 1 ro; map 1 8; sleep 12; unshare 1; grants; grants 2; unmap 3; \
                grants; poweroff";
    world.run([guest.task(line, async {})]);
    let lines = guest.lines();
    let listed = |kind: &str| {
        lines.iter().filter(|line| line.starts_with(kind)).cloned().collect::<Vec<_>>()
    };
    let share = "share ref=10 peer=2 access=ro state=idle age=12 id=2";
    assert_eq!(listed("share "), [share, share, share]);
    assert_eq!(listed("map "), ["map ref=8 peer=1 access=rw state=mapped-rw age=12 id=3"]);
    assert_eq!(
        listed("parked "),
        [
            "parked ref=8 peer=1 access=rw state=mapped-rw age=12 id=-",
            "parked ref=8 peer=1 access=rw state=idle age=12 id=-"
        ]
    );
    let entries: Vec<_> =
        listed("ok grants").iter().map(|line| value(line, "entries").to_owned()).collect();
    assert_eq!(entries, ["3", "1", "2"]);
    assert!(listed("ok unshare")[0].ends_with("state=parked"));
}

#[test]
fn status_tries_parked_pages_first_and_tells_what_is_in_use() {
    let results = script(
        "share 1 3; map 1 8,9; unshare 1; status; sleep 5; unmap 2; status; port offer 5; status",
    );
    let status = &results[3];
    let keys: Vec<_> =
        status.split(' ').skip(2).filter_map(|word| Some(word.split_once('=')?.0)).collect();
    let known = "grants parked maps reserved ports frames frames_free heap heap_free stack hypercalls uptime";
    assert_eq!(keys, known.split(' ').collect::<Vec<_>>());
    let few = |line: &str| {
        ["grants", "parked", "maps", "reserved", "ports", "frames"]
            .map(|key| value(line, key).to_owned())
    };
    assert_eq!(few(status), ["2", "2", "2", "2", "2", "2"]);
    assert_eq!(few(&results[6]), ["0", "0", "0", "0", "2", "0"]);
    assert_eq!(value(&results[6], "frames_free"), "1024");
    assert_eq!(value(&results[6], "uptime"), "5");
    assert_eq!(value(&results[6], "heap"), "1000");
    assert_eq!(value(&results[6], "heap_free"), "2000");
    assert_eq!(value(&results[6], "stack"), "3000");
    assert_eq!(value(&results[8], "ports"), "3");
}

#[test]
fn counters_have_a_line_for_every_call_that_was_made() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    world.run([guest.task("-- share 1 2; map 1 8,9; counters; poweroff", async {})]);
    let lines = guest.lines();
    assert!(lines.contains(&"grant_table_op.map_grant_ref 1".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("grant_table_op.unmap_grant_ref")));
    let result = &guest.results()[2];
    let known = "ok counters hypercalls= events_in= events_out= zeroed= copied= allocations=";
    let keys: String = result.chars().filter(|c| !c.is_ascii_digit()).collect();
    assert_eq!(keys, known);
    let listed = lines.iter().filter(|line| line.contains("_op.") || line.starts_with("grant_"));
    let sum: u64 = listed.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!(value(result, "hypercalls"), sum.to_string());
}

#[test]
fn options_are_set_while_the_guest_runs() {
    let results = script(
        "set gntalloc.limit 2; share 2 3; set gntalloc.limit 0x10; share 2 3; set gntdev.limit 2; \
         map 1 8,9,10; set gntdev.limit 0; set gntdev.limit 1000000; set loglevel loud; set speed 9; \
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
        "share 1 3; map 1 8; set gntdev.limit 2; map 1 9,10; map 1 8 ro; state 2; sum 2; unmap 2; map 1 8,9,10",
    );
    assert!(results[3].starts_with("ok map id=3 "));
    assert_eq!(of_error(&results[4]), "ENOMEM -");
    assert_eq!(results[5], "ok state id=2 pages=1 states=mapped-rw*1");
    assert!(results[7].starts_with("ok unmap "));
}

#[test]
fn options_of_the_command_line_are_set_and_wrong_ones_stop_nothing() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    let line = "gntalloc.limit=3 quiet gntdev.limit=0 loglevel=debug root=/dev/xvda gntdev.limit=x \
                -- share 2 4; share 2 3; poweroff";
    world.run([guest.task(line, async {})]);
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
fn a_script_that_was_cut_off_does_not_run_but_the_shell_does() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    let line = format!("-- share 2 1;{}", "x".repeat(1023 - 13));
    world.run([guest.task(&line, async {
        guest.expect("grantkit> ").await;
        guest.xen.console_type("poweroff\n");
    })]);
    let results = guest.results();
    assert!(results[0].starts_with("error cmdline errno=E2BIG status=- "), "{results:?}");
    assert_eq!(results[1..], ["ok poweroff"]);
}

#[test]
fn help_lists_every_command_and_what_it_takes() {
    let results = script("help; help port; help port offer; help read");
    let all = "share,map,read,write,fill,sum,state,wait,notify,unmap,unshare,grants,port,xs,status,\
               counters,set,crash,selftest,demo,help,sleep,poweroff,reboot";
    assert_eq!(results[0], format!("ok help commands={all}"));
    assert_eq!(results[1], "ok help commands=port");
    assert_eq!(results[2], "ok help commands=port");
    assert_eq!(results[3], "ok help commands=read");
}

#[test]
fn sleeping_takes_the_time_it_was_told() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    world.run([guest.task("-- sleep 1500; poweroff", async {})]);
    assert_eq!(guest.results()[0], "ok sleep ms=1500");
    assert_eq!(guest.xen.now() / common::MS, 1500);
}

#[test]
fn the_guest_ends_as_it_is_told() {
    let kinds = ["Panic", "Null", "Text", "Rodata", "Exec", "Stack"];
    for kind in kinds {
        let world = World::new();
        let guest = Guest::new(&world, 1);
        let line = format!("-- crash {}; status", kind.to_lowercase());
        world.run([guest.task(&line, async {})]);
        assert_eq!(guest.results(), ["ok crash"]);
        assert_eq!(guest.notes.all(), [kind]);
    }
    let world = World::new();
    let guest = Guest::new(&world, 1);
    world.run([guest.task("-- reboot; status", async {})]);
    assert_eq!(guest.results(), ["ok reboot"]);
    assert_eq!(guest.notes.all(), ["\"reboot\""]);
}

#[test]
fn a_guest_that_ends_lets_go_of_everything_and_tells_its_peers() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    let line = "-- port offer 1; port bind 1 3; port wait 4; share 1 1; map 1 8; notify 2 byte=0 event=3; \
                write 1 0 x; poweroff";
    world.run([guest.task(line, async {})]);
    assert_eq!(guest.services.table.in_use(), 0);
    guest.end();
}

#[test]
fn empty_commands_print_nothing_and_a_failing_one_ends_nothing() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    world.run([guest.task("-- ;; nonsense ; ;share 2 1;;poweroff", async {})]);
    let lines = guest.lines();
    assert_eq!(lines[1..], guest.results()); // the first line is about the boot
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn a_map_that_cannot_be_undone_is_an_error_and_its_pages_are_tried_again() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    guest.xen.inject(Call::GnttabUnmap, Fault::Hypercall { at: 0, errno: Errno::EINVAL });
    world
        .run([guest
            .task("-- share 1 1; map 1 8; unmap 2; state 1; status; state 1; poweroff", async {})]);
    let results = guest.results();
    assert!(results[2].starts_with("error unmap errno=EINVAL "), "{}", results[2]);
    assert!(results[3].ends_with("states=mapped-rw*1"));
    assert_eq!(value(&results[4], "maps"), "0");
    assert!(results[5].ends_with("states=idle*1"));
}

#[test]
fn a_thousand_references_are_one_line() {
    let results = script("share 2 1024; grants");
    assert_eq!(value(&results[0], "refs").split(',').count(), 1024);
    assert_eq!(results[1], "ok grants entries=1024");
}

#[test]
fn a_guest_says_what_its_boot_took_before_anything_else() {
    let world = World::new();
    let guest = Guest::new(&world, 1);
    world.run([guest.task("-- poweroff", async {})]);
    assert_eq!(guest.lines().first().map(String::as_str), Some("ready after 1.9 ms of cpu"));
    guest.end();
}
