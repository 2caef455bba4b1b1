// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limited resources are used up and given back. A wrong answer of Xen's and a drifting count are
//! reported.

#[path = "../../../tasks/tests/common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};

use common::ShellGuest;
use drivers::{Call, Errno};
use fake_xen::{Config, Fault, Mode, Task};
use trials::exhaust;

/// The guest's configuration under xl.
const SMALL: Config = Config {
    pages: 1024,
    max_pages: 1024,
    max_grant_frames: 1,
    max_maptrack_frames: 1,
    max_ports: 20,
    grant_version: 1,
    console: fake_xen::ConsoleKind::Ring,
    // A PVH guest can't map what it grants to itself.
    mode: Mode::Pv,
};

/// Runs two rounds, with `prepare` while everything is used up. Returns the result line.
fn line(config: Config, heap: &dyn Fn() -> u64, prepare: impl Fn(&ShellGuest)) -> String {
    let guest = ShellGuest::alone_with(1, config);
    let said = RefCell::new(String::new());
    let task = async {
        let full = async { prepare(&guest) };
        *said.borrow_mut() = exhaust::run(&guest.services, heap, 2, full).await;
    };
    guest.xen.world().run([Task::new(&guest.events, task)]);
    guest.end();
    said.into_inner()
}

#[test]
fn the_last_of_each_gives_its_error_and_one_freed_serves_again() {
    let line = line(SMALL, &|| 0, |_| ());
    assert_eq!(line, "ok exhaust rounds=2 grants=504 mappings=255 ports=20");
}

#[test]
fn counts_depend_on_the_sizes() {
    let config = Config { max_maptrack_frames: 2, max_ports: 30, pages: 2048, ..SMALL };
    let line = line(config, &|| 0, |_| ());
    assert_eq!(line, "ok exhaust rounds=2 grants=504 mappings=511 ports=30");
}

#[test]
fn large_tables_are_refused() {
    let line = line(Config { max_ports: 1023, ..SMALL }, &|| 0, |_| ());
    assert_eq!(line, "error exhaust errno=EIO status=- Ports: there are more than 512");
}

#[test]
fn an_error_other_than_the_contracts_is_reported() {
    let line = line(SMALL, &|| 0, |guest| {
        guest.xen.inject_later(
            Call::EvtchnAllocUnbound,
            Fault::Hypercall { at: 0, errno: Errno::EPERM },
        );
    });
    assert!(line.starts_with("error exhaust errno=EIO status=- round 1: "), "{line}");
}

#[test]
fn a_growing_heap_is_reported() {
    let heap = Cell::new(0);
    let line = line(SMALL, &|| heap.replace(heap.get() + 1), |_| ());
    assert!(line.starts_with("error exhaust errno=EIO status=- round 1: what is in use"), "{line}");
}
