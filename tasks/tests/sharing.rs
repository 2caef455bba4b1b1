// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests that share through their shells.

mod common;

use std::cell::Cell;

use common::{pair, value};

#[test]
fn what_one_shares_the_other_maps_and_both_see_the_same() {
    let (world, granter, mapper) = &pair();
    let user = async {
        let share = granter.ask("share 2 64\r", "ok share").await;
        let refs = value(&share, "refs").to_owned();
        let map = mapper.ask(&format!("map 1 {refs}\r"), "ok map").await;
        assert_eq!(value(&map, "pages"), "64");
        let filled = granter.ask("fill 1 42\r", "ok fill").await;
        let sum = mapper.ask("sum 1\r", "ok sum").await;
        assert_eq!(value(&filled, "crc32"), "95539f90");
        assert_eq!(value(&sum, "crc32"), "95539f90");
        let filled = mapper.ask("fill 1 7\r", "ok fill").await;
        let sum = granter.ask("sum 1\r", "ok sum").await;
        assert_eq!(value(&filled, "crc32"), value(&sum, "crc32"));
        let state = granter.ask("state 1\r", "ok state").await;
        assert_eq!(value(&state, "states"), "mapped-rw*64");
        mapper.ask("unmap 1\r", "ok unmap").await;
        let state = granter.ask("state 1\r", "ok state").await;
        assert_eq!(value(&state, "states"), "idle*64");
        granter.ask("unshare 1\r", "state=freed").await;
        mapper.xen.console_type("poweroff\r");
        granter.xen.console_type("poweroff\r");
    };
    world.run([granter.task("", user), mapper.task("", async {})]);
}

#[test]
fn the_granter_waits_until_the_mapper_lets_go() {
    let (world, granter, mapper) = &pair();
    let script = "-- share 2 2; sleep 20; wait 1 10; wait 1; unshare 1; poweroff";
    let tasks = [
        granter.task(script, async {}),
        mapper.task("-- sleep 5; map 1 8,9; sleep 95; unmap 1; poweroff", async {}),
    ];
    world.run(tasks);
    let results = granter.results();
    assert_eq!(value(&results[2], "errno"), "ETIMEDOUT");
    let waited: u64 = value(&results[3], "waited").parse().unwrap();
    assert!((70..=80).contains(&waited), "{waited}");
    assert_eq!(results[4], "ok unshare id=1 state=freed");
}

#[test]
fn a_share_that_is_let_go_while_mapped_is_parked_until_the_mapper_unmaps() {
    let (world, granter, mapper) = &pair();
    let script = "-- share 2 3; sleep 20; unshare 1; status; sleep 50; status; poweroff";
    let tasks = [
        granter.task(script, async {}),
        mapper.task("-- sleep 5; map 1 9; sleep 40; read 1 0 4; unmap 1; poweroff", async {}),
    ];
    world.run(tasks);
    let results = granter.results();
    assert_eq!(results[2], "ok unshare id=1 state=parked");
    assert_eq!(value(&results[3], "parked"), "1");
    assert_eq!(value(&results[3], "grants"), "1");
    assert_eq!(value(&results[5], "parked"), "0");
    assert!(mapper.results()[3].starts_with("ok read "));
}

#[test]
fn a_mapper_that_lets_go_clears_the_live_byte_and_rings() {
    let (world, granter, mapper) = &pair();
    let granting = "-- port offer 2; share 2 1; write 1 9 !; sleep 10; port wait 3 1000; \
                    read 1 9 1; unshare 1; poweroff";
    let mapping = "-- sleep 1; port bind 1 3; port wait 3; map 1 8; notify 1 byte=9 event=3; \
                   sleep 50; unmap 1; poweroff";
    world.run([granter.task(granting, async {}), mapper.task(mapping, async {})]);
    let results = granter.results();
    assert_eq!(results[4], "ok port wait port=3");
    assert_eq!(value(&results[5], "hex"), "00");
    assert_eq!(results[6], "ok unshare id=1 state=freed");
}

#[test]
fn a_read_only_share_can_be_read_and_nothing_else() {
    let (world, granter, mapper) = &pair();
    let granting = "-- share 2 1 ro; write 1 0 for your eyes; sleep 50; unshare 1; poweroff";
    let mapping =
        "-- sleep 5; map 1 8; map 1 8 ro; read 1 0 13; write 1 0 x; fill 1 1; unmap 1; poweroff";
    world.run([granter.task(granting, async {}), mapper.task(mapping, async {})]);
    let results = mapper.results();
    assert_eq!(value(&results[1], "status"), "general_error");
    assert!(results[3].ends_with(" text=for your eyes"), "{}", results[3]);
    assert_eq!(value(&results[4], "errno"), "EACCES");
    assert_eq!(value(&results[5], "errno"), "EACCES");
}

#[test]
fn a_guest_that_powers_off_leaves_nothing_mapped() {
    let (world, granter, mapper) = pair();
    let tasks = [
        granter.task("-- share 2 4; wait 1; sleep 20; wait 1; poweroff", async {}),
        mapper.task("-- sleep 5; map 1 8,9,10,11; sleep 40; poweroff", async {}),
    ];
    world.run(tasks);
    assert!(granter.results()[3].starts_with("ok wait "), "{:?}", granter.results());
    mapper.end();
    granter.end();
}

#[test]
fn a_map_whose_granter_was_destroyed_says_that_it_is_gone_and_keeps_its_bytes() {
    let (world, granter, mapper) = &pair();
    let doomed = &Cell::new(false);
    let user = async {
        let filled = granter.expect("ok fill ").await;
        mapper.ask("map 1 8,9,10\r", "ok map ").await;
        let state = mapper.ask("state 1\r", "ok state ").await;
        assert_eq!(value(&state, "states"), "mapped-rw*3");
        doomed.set(true);
        granter.xen.console_type("\r");
        mapper.pause(1).await;
        let state = mapper.ask("state 1\r", "ok state ").await;
        assert_eq!(value(&state, "states"), "gone*3");
        let sum = mapper.ask("sum 1\r", "ok sum ").await;
        assert_eq!(value(&sum, "crc32"), value(&filled, "crc32"));
        mapper.ask("unmap 1\r", "ok unmap ").await;
        mapper.xen.console_type("poweroff\r");
    };
    let granter = granter.task_until("-- share 2 3; fill 1 42", || doomed.get());
    world.run([granter, mapper.task("", user)]);
}

#[test]
fn a_granter_that_tells_nobody_whether_it_is_there_is_not_taken_for_gone() {
    let (world, granter, mapper) = &pair();
    let user = async {
        granter.expect("ok share ").await;
        granter.ask("xs rm data/grantkit\r", "ok xs rm ").await;
        let state = mapper.ask("map 1 8\rstate 1\r", "ok state ").await;
        assert_eq!(value(&state, "states"), "mapped-rw*1");
        // Nor is one that xenstore says nothing about.
        world.xenstore_daemon(false);
        mapper.ask("unmap 1\r", "ok unmap ").await;
        let state = mapper.ask("map 1 8\rstate 2\r", "ok state ").await;
        assert_eq!(value(&state, "states"), "mapped-rw*1");
        mapper.xen.console_type("poweroff\r");
        granter.xen.console_type("poweroff\r");
    };
    world.run([granter.task("-- share 2 1", user), mapper.task("", async {})]);
}
