// SPDX-License-Identifier: MIT OR Apache-2.0
//! The self-test on a correct Xen, and on a faulty one.

mod common;

use std::future::poll_fn;
use std::task::Poll;

use common::{MS, SEC, ShellGuest, script, value};
use drivers::{Call, Errno, Hypervisor};
use fake_xen::{Config, ConsoleKind, Fault, Mode, World};

#[test]
fn the_selftest_passes_and_leaves_nothing() {
    let results = script("selftest; status");
    assert_eq!(results[0], "ok selftest passed=18 failed=0");
    for key in ["grants", "parked", "maps", "reserved", "frames"] {
        assert_eq!(value(&results[1], key), "0", "{key}");
    }
    assert_eq!(value(&results[1], "ports"), "2");
}

#[test]
fn every_check_has_a_line_of_its_own() {
    let world = World::new();
    let guest = ShellGuest::new(&world, 7);
    guest.run("-- selftest; poweroff");
    let passed = guest.lines().iter().filter(|line| line.starts_with("pass ")).count();
    assert_eq!(passed, 18);
}

#[test]
fn a_pvh_guest_checks_what_it_can_without_maps_of_its_own_pages() {
    let guest = ShellGuest::alone_with(1, Config { mode: Mode::Pvh, ..Config::default() });
    guest.run("-- selftest; status; poweroff");
    assert_eq!(guest.results()[0], "ok selftest passed=6 failed=0");
    for key in ["grants", "parked", "maps", "reserved", "frames"] {
        assert_eq!(value(&guest.results()[1], key), "0", "{key}");
    }
    guest.end();
}

#[test]
fn it_runs_twice_beside_shares_and_maps_that_stay() {
    let results =
        script("share 1 3; map 1 8,9; unshare 1; selftest; selftest; grants; unmap 2; status");
    assert_eq!(results[3], "ok selftest passed=18 failed=0");
    assert_eq!(results[4], "ok selftest passed=18 failed=0");
    assert_eq!(results[5], "ok grants entries=4");
}

#[test]
fn limits_that_were_lowered_are_no_failure_and_stay_lowered() {
    let results = script("set gntalloc.limit 2; set gntdev.limit 1; selftest; share 2 3");
    assert_eq!(results[2], "ok selftest passed=18 failed=0");
    assert_eq!(value(&results[3], "errno"), "ENOSPC");
}

#[test]
fn a_small_guest_in_the_place_of_dom0_passes() {
    let config = Config {
        pages: 200,
        max_grant_frames: 1,
        max_maptrack_frames: 1,
        console: ConsoleKind::Hypervisor,
        ..Config::default()
    };
    let guest = ShellGuest::alone_with(0, config);
    guest.run("-- selftest; poweroff");
    assert_eq!(guest.results()[0], "ok selftest passed=18 failed=0");
}

#[test]
fn a_failing_hypercall_is_a_failed_check_that_says_why() {
    let guest = ShellGuest::alone();
    guest.xen.inject(Call::GnttabMap, Fault::Hypercall { at: 0, errno: Errno::ENOSYS });
    guest.run("-- selftest; status; poweroff");
    assert_eq!(guest.results()[0], "error selftest errno=EIO status=- passed=17 failed=1");
    let lines = guest.lines();
    let failed = lines.iter().find(|line| line.starts_with("FAIL ")).expect("a failed check");
    assert!(
        failed.ends_with("hypercall grant_table_op.map_grant_ref failed: ENOSYS (ENOSYS)"),
        "{failed}"
    );
    assert_eq!(value(&guest.results()[1], "grants"), "0");
}

#[test]
fn an_unmap_that_fails_is_one_failed_check_and_tried_again() {
    let guest = ShellGuest::alone();
    guest.xen.inject(Call::GnttabUnmap, Fault::Hypercall { at: 0, errno: Errno::EINVAL });
    guest.run("-- selftest; status; poweroff");
    assert_eq!(guest.results()[0], "error selftest errno=EIO status=- passed=17 failed=1");
    assert_eq!(value(&guest.results()[1], "maps"), "0");
    guest.end();
}

#[test]
fn a_thousand_round_trips_may_take_longer_than_one_event_may() {
    let guest = ShellGuest::alone();
    let start = guest.system.now();
    // Whatever else runs takes 10 ms whenever the guest runs.
    let slow = poll_fn(|_| {
        (0..1000).for_each(|_| guest.xen.yield_cpu());
        if guest.notes.all().is_empty() { Poll::Pending } else { Poll::Ready(()) }
    });
    guest.run_beside("-- selftest; poweroff", slow);
    assert_eq!(guest.results()[0], "ok selftest passed=18 failed=0");
    assert!(guest.system.now() - start > 5 * SEC * MS, "it was not slow");
}

#[test]
fn an_event_that_is_lost_is_a_failed_check() {
    let guest = ShellGuest::alone();
    guest.xen.inject_after(700, Call::EvtchnSend, Fault::Untouched { at: 0 });
    guest.run("-- selftest; poweroff");
    assert_eq!(guest.results()[0], "error selftest errno=EIO status=- passed=17 failed=1");
    let lines = guest.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("FAIL ") && line.ends_with("did not come")),
        "{lines:?}"
    );
}

#[test]
fn a_guest_without_memory_fails_and_lives_on() {
    let guest = ShellGuest::alone_with(1, Config { pages: 10, ..Config::default() });
    guest.run("-- selftest; share 2 10; poweroff");
    assert_eq!(guest.results()[0], "error selftest errno=EIO status=- passed=0 failed=1");
    assert!(guest.results()[1].starts_with("ok share "));
}
