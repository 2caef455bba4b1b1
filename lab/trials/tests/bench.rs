// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bench on FakeXen: every row is there, nothing is left behind, and failures are reported.

use std::sync::atomic::{AtomicU64, Ordering};

use drivers::{Call, Errno};
use fake_xen::{Config, Guest, World};
use trials::bench::{self, Plan, Tools};

/// A clock that advances at every call.
fn ticks() -> u64 {
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(1000, Ordering::Relaxed)
}

fn run(prepare: impl Fn(&Guest)) -> (Guest, Result<Vec<String>, String>) {
    let world = World::new();
    let guest = world.guest(0, Config { max_ports: 4095, ..Config::default() });
    prepare(&guest);
    let tools = Tools { services: &guest.services, xen: &guest.xen, ticks, heap: &|| 0 };
    let rows = bench::run(tools, Plan { sizes: &[1, 3], live: 64 });
    let lines = rows.map(|rows| rows.iter().map(|row| row.to_string()).collect());
    (guest, lines.map_err(|why| why.to_string()))
}

#[test]
fn every_operation_is_measured_and_nothing_is_left() {
    let (guest, lines) = run(|_| ());
    let lines = lines.expect("nothing fails");
    let of = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    for op in ["share", "share-clean", "end", "reserve", "map", "unmap", "map-ro", "remove"] {
        assert_eq!(of(&format!("bench op={op} ")), 2, "{op}");
    }
    assert_eq!(of("bench op=map n=3 calls=7 "), 1, "{lines:?}");
    assert!(lines.iter().any(|line| {
        line.starts_with("bench op=map n=3 ") && line.contains(" hypercalls=1 allocations=0 ")
    }));
    assert_eq!(of("bench op=read-word n=1 calls=7000 "), 1, "{lines:?}");
    assert_eq!(of("bench op=open-1000th n=1 "), 1, "{lines:?}");
    guest.assert_clean();
}

#[test]
fn a_call_that_fails_ends_it() {
    for call in [Call::GnttabMap, Call::GnttabCopy, Call::EvtchnSend] {
        let (guest, lines) = run(|guest| guest.xen.deny(call, Some(Errno::EFAULT)));
        assert!(lines.is_err(), "{call:?}");
        guest.xen.deny(call, None);
        guest.assert_clean();
    }
}
