// SPDX-License-Identifier: MIT OR Apache-2.0
//! The random calls of a guest that grants to itself, on FakeXen, as an image makes them on a real
//! Xen.

#[path = "../../../tasks/tests/common/mod.rs"]
mod common;

use common::value;
use fake_xen::{Config, ConsoleKind, Guest, Mode, Task, World};
use trials::model::{self, Progress};

/// A domain with one grant frame and one maptrack frame.
const ONE_FRAME: Config = Config {
    pages: 1024,
    max_pages: 1024,
    max_grant_frames: 1,
    max_maptrack_frames: 1,
    max_ports: 1023,
    grant_version: 1,
    console: ConsoleKind::Hypervisor,
    // A PVH guest can't map what it grants to itself.
    mode: Mode::Pv,
};

fn run(config: Config, line: &str) -> (Guest, String) {
    let world = World::new();
    let guest = world.guest(0, config);
    let progress = Progress::new();
    let run = model::run(&guest.services, line, &progress, || 0);
    world.run([Task::new(&guest.events, run)]);
    let last = guest.xen.console_output().lines().last().expect("a last line").to_owned();
    (guest, last)
}

#[test]
fn the_requested_number_of_random_calls_leaves_everything_as_it_was() {
    let (guest, last) = run(ONE_FRAME, "seed=7 operations=4500");
    assert!(last.starts_with("ok model operations=4500 sequences=3 seed=7 "), "{last}");
    assert_eq!((value(&last, "entries"), value(&last, "mappings")), ("504", "255"));
    guest.assert_clean();
}

#[test]
fn a_xen_that_allows_more_than_one_frame_is_refused() {
    for config in [
        Config { max_grant_frames: 2, ..ONE_FRAME },
        Config { max_maptrack_frames: 3, ..ONE_FRAME },
    ] {
        let (_, last) = run(config, "operations=10");
        assert!(last.starts_with("error model errno=EIO status=- there are more than"), "{last}");
    }
}

#[test]
fn an_unknown_option_is_named() {
    for (line, said) in [
        ("sed=7", "\"sed\" is no option"),
        ("seed=x", "\"x\" is no number"),
        ("operations", "\"operations\" is no option"),
    ] {
        let (_, last) = run(ONE_FRAME, line);
        assert!(last.starts_with("error model errno=") && last.contains(said), "{last}");
    }
}
