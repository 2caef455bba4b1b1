// SPDX-License-Identifier: MIT OR Apache-2.0
//! A daemon that is always faster doesn't starve the guest's other tasks.

use std::cell::Cell;

use drivers::xenstore::WatchEvent;
use embassy_futures::join::join;
use embassy_futures::yield_now;
use fake_xen::{Config, ConsoleKind, Guest, Pair, Task, World};

/// Returns how often another task of the guest runs before `busy` is done.
fn turns_beside(guest: &Guest, busy: impl Future<Output = ()>) -> u32 {
    let (done, turns) = (Cell::new(false), Cell::new(0));
    let busy = async {
        busy.await;
        done.set(true);
    };
    let other = async {
        while !done.get() {
            turns.set(turns.get() + 1);
            yield_now().await;
        }
    };
    let both = async {
        join(busy, other).await;
    };
    guest.xen.world().run([Task::new(&guest.events, both)]);
    turns.get()
}

#[test]
fn a_console_that_takes_and_gives_without_end_does_not_starve_other_tasks() {
    let guest =
        World::new().guest(1, Config { console: ConsoleKind::Hypervisor, ..Config::default() });
    guest.xen.console_type(&[b'x'; 100_000]);
    let turns = turns_beside(&guest, async {
        let (mut bytes, mut read) = ([0; 100], 0);
        while read < 100_000 {
            read += guest.console.input(&mut bytes).await;
        }
    });
    assert!(turns > 40, "reading: {turns}");
    let turns = turns_beside(&guest, async {
        for _ in 0..1000 {
            guest.console.print(&[b'x'; 100]).await;
        }
    });
    assert!(turns > 40, "printing: {turns}");
}

#[test]
fn a_full_queue_of_watch_events_does_not_starve_other_tasks() {
    let Pair { world, alice, .. } = Pair::new();
    let turns = Cell::new(0);
    let watching = async {
        let xs = alice.xenstore.clone().unwrap();
        let mut watch = xs.watch("/local/domain/2").await.unwrap();
        watch.event().await.unwrap();
        let (done, mut events) = (Cell::new(false), 0);
        let busy = async {
            for _ in 0..20 {
                for node in 0..31 {
                    world.xenstore_publish(2, &format!("data/{node}"), b"x");
                }
                // Its answer comes after the events, which are then in the queue.
                xs.read("domid").await.unwrap();
                turns.set(0);
                for _ in 0..31 {
                    assert!(matches!(watch.event().await, Ok(WatchEvent::Changed(_))));
                    events += 1;
                }
            }
            done.set(true);
        };
        let other = async {
            while !done.get() {
                turns.set(turns.get() + 1);
                yield_now().await;
            }
        };
        join(busy, other).await;
        assert_eq!(events, 20 * 31);
        assert!(turns.get() >= 1, "{}", turns.get());
    };
    world.run([Task::new(&alice.events, watching)]);
}
