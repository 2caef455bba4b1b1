// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripted commands and their effects: every ok line.

mod common;

use common::{ShellGuest, of_error, one, script, value};

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
fn events_go_through_a_channel_of_our_own() {
    let results = script(
        "port offer 1; port bind 1 3; port wait 4; port wait 4 5; port send 3; port wait 4 5; \
         port send 4; port wait 3 5; port close 3; port close 4; port send 4; port bind 1 3; \
         port bind 9 3; port close 2",
    );
    assert_eq!(results[0], "ok port offer port=3");
    assert_eq!(results[1], "ok port bind port=4");
    // Binding delivers one event, in case the peer has sent before.
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
fn waiting_for_pages_nobody_maps_takes_no_time() {
    let results = script("share 1 1; wait 1; map 1 8; wait 1 25; wait 1 0");
    assert_eq!(results[1], "ok wait id=1 waited=0");
    assert_eq!(results[3], "error wait errno=ETIMEDOUT status=- waited 25 ms");
    assert_eq!(of_error(&results[4]), "ETIMEDOUT -");
}

#[test]
fn grants_lists_what_is_granted_mapped_and_parked() {
    let guest = ShellGuest::alone();
    let line = "-- share 1 2; share 2 1 ro; map 1 8; sleep 12; unshare 1; grants; grants 2; \
                unmap 3; grants; poweroff";
    guest.run(line);
    let listed = |kind| guest.lines_of(kind);
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
    let known = "grants parked maps reserved ports frames frames_free heap heap_free stack \
                 hypercalls uptime mode";
    assert_eq!(keys, known.split(' ').collect::<Vec<_>>());
    let few = |line: &str| {
        ["grants", "parked", "maps", "reserved", "ports", "frames"]
            .map(|key| value(line, key).to_owned())
    };
    assert_eq!(few(status), ["2", "2", "2", "2", "2", "2"]);
    assert_eq!(few(&results[6]), ["0", "0", "0", "0", "2", "0"]);
    assert_eq!(value(&results[6], "frames_free"), "1024");
    assert_eq!(value(&results[6], "uptime"), "5");
    assert!(results[6].ends_with(" mode=pv"), "{}", results[6]);
    assert_eq!(value(&results[6], "heap"), "1000");
    assert_eq!(value(&results[6], "heap_free"), "2000");
    assert_eq!(value(&results[6], "stack"), "3000");
    assert_eq!(value(&results[8], "ports"), "3");
}

#[test]
fn counters_have_a_line_for_every_call_that_was_made() {
    let guest = ShellGuest::alone();
    guest.run("-- share 1 2; map 1 8,9; counters; poweroff");
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
fn a_thousand_references_are_one_line() {
    let results = script("share 2 1024; grants");
    assert_eq!(value(&results[0], "refs").split(',').count(), 1024);
    assert_eq!(results[1], "ok grants entries=1024");
}
