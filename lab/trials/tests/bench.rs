// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bench on FakeXen: every row is there, nothing is left behind, and failures are reported.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use drivers::{Call, Errno};
use fake_xen::{Config, Guest, Pair, Task, World};
use trials::bench::between::{self, Clock, End};
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
    for op in ["open-1000th", "close-empty"] {
        assert_eq!(of(&format!("bench op={op} n=1 ")), 1, "{op}: {lines:?}");
    }
    guest.assert_clean();
}

#[test]
fn the_other_faces_and_a_channel_in_one_domain_are_measured_and_nothing_is_left() {
    let world = World::new();
    let guest = world.guest(0, Config::default());
    let tools = Tools { services: &guest.services, xen: &guest.xen, ticks, heap: &|| 0 };
    let rows = RefCell::new(None);
    let run = async { *rows.borrow_mut() = Some(bench::run_others(tools, &[1, 3]).await) };
    world.run([Task::new(&guest.events, run)]);
    let rows = rows.into_inner().expect("it ended").expect("nothing fails");
    let lines: Vec<String> = rows.iter().map(|row| row.to_string()).collect();
    let of = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    for face in ["plain", "ioctl"] {
        for op in ["share", "reserve", "map", "unmap", "remove", "end"] {
            assert_eq!(of(&format!("bench op={op}-{face} n=3 calls=7 ")), 1, "{op}-{face}");
        }
        assert_eq!(of(&format!("bench op=read-word-{face} n=1 ")), 1, "{face}");
    }
    let trip = lines.iter().find(|line| line.starts_with("bench op=loop-trip "));
    assert!(trip.is_some_and(|trip| trip.contains(" hypercalls=2 allocations=0 ")), "{trip:?}");
    assert_eq!(of("bench op=loop-stream-64 n=1048576 calls=3 "), 1, "{lines:?}");
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

/// What the measuring one of two guests prints, or why it failed.
fn together(prepare: impl Fn(&Pair)) -> Result<Vec<String>, String> {
    let large = Config { pages: 512, max_pages: 512, ..Config::default() };
    let pair = Pair::of(large, large);
    prepare(&pair);
    let found = RefCell::new(Ok(Vec::new()));
    let run = |guest: usize, end| {
        let (found, services) = (&found, &[&pair.alice, &pair.bob][guest].services);
        async move {
            let (clock, plan) = (Clock::booted(ticks), between::Plan { trips: 100, mib: 1 });
            match between::run(services, &clock, end, plan).await {
                Ok(told) if told.rows().is_empty() => {}
                Ok(mut told) => {
                    let mut lines: Vec<String> =
                        told.rows().iter().map(|row| row.to_string()).collect();
                    told.tell_boot(|line| lines.push(line.to_string()));
                    told.tell_trips(|column| lines.push(column.to_string()));
                    *found.borrow_mut() = Ok(lines);
                }
                Err(error) => *found.borrow_mut() = Err(error.to_string()),
            }
        }
    };
    let (one, two) = (run(0, End::Listens), run(1, End::Connects));
    pair.world.run([Task::new(&pair.alice.events, one), Task::new(&pair.bob.events, two)]);
    found.into_inner()
}

#[test]
fn two_guests_count_both_ends_hypercalls_and_every_round_trip() {
    let lines = together(|_| ()).expect("nothing fails");
    let row = |op: &str| {
        let start = format!("bench op={op} ");
        lines.iter().find(|line| line.starts_with(&start)).expect(op)
    };
    // The two sends: on FakeXen, nobody blocks by a hypercall.
    for op in ["ping-pong", "vchan-trip"] {
        assert!(row(op).contains(" hypercalls=2 allocations=0 "), "{}", row(op));
    }
    for size in [64, 4096, 65_536] {
        let row = row(&format!("vchan-stream-{size}"));
        assert!(row.contains(" n=1048576 calls=5 ") && row.contains(" allocations=0 "), "{row}");
    }
    // The first reading is at the end of the boot; each run of round trips takes one more per trip.
    let first = row("ping-pong").rsplit_once("window=").and_then(|(_, window)| {
        let (first, last) = window.split_once('-')?;
        Some((first.parse::<u32>().ok()?, last.parse::<u32>().ok()?))
    });
    let (first, last) = first.expect("two readings");
    assert!(first > 1 && last - first == 102, "{first} {last}");
    assert!(lines.iter().any(|line| line.starts_with("boot hypercalls=")), "{lines:?}");
    let counts = lines.iter().filter(|line| line.starts_with("trips op=ping-pong "));
    let counts = counts.filter_map(|line| line.rsplit_once("count=")?.1.parse::<u32>().ok());
    assert_eq!(counts.sum::<u32>(), 500);
}
