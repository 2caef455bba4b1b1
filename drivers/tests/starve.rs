// SPDX-License-Identifier: MIT OR Apache-2.0
//! A peer or a daemon that is always faster doesn't starve the guest's other tasks.

use std::cell::Cell;

use drivers::Error;
use drivers::gntalloc::Export;
use drivers::ring::{Receiver, Sender};
use drivers::shared::{Shared, SharedMut};
use drivers::xenstore::WatchEvent;
use embassy_futures::join::join;
use embassy_futures::yield_now;
use fake_xen::{Config, ConsoleKind, FakeXen, Guest, Pair, Task, World};

const SIZE: u32 = 4096;

/// Shared pages whose other side has always just written or read as much as it may.
struct Ahead(Export<FakeXen>);

impl Shared for Ahead {
    fn size(&self) -> usize {
        self.0.size()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.read(offset, bytes)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, Error> {
        match offset {
            // The writer's index for a reader, and the reader's for a writer.
            0 => Ok(self.0.load_u32(64)?.wrapping_add(SIZE)),
            64 => self.0.load_u32(0),
            _ => self.0.load_u32(offset),
        }
    }
}

impl SharedMut for Ahead {
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(offset, bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error> {
        self.0.store_u32(offset, value)
    }
}

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
fn a_peer_that_is_always_faster_does_not_starve_other_tasks() {
    let pair = Pair::new();
    let (port, _there) = pair.alice.channel(&pair.bob);
    for len in [1000, 4096, 10_000] {
        let ahead = Ahead(pair.alice.share(&pair.bob, 2));
        let turns = turns_beside(&pair.alice, async {
            let mut receiver = Receiver::new(&ahead, &port).unwrap();
            let (mut bytes, mut received) = (vec![0; len], 0);
            while received < 100 * SIZE as usize {
                received += receiver.receive(&mut bytes).await.unwrap();
            }
        });
        assert!(turns > 70, "receiving {len} bytes: {turns}");
        drop(ahead);
        let ahead = Ahead(pair.alice.share(&pair.bob, 2));
        let turns = turns_beside(&pair.alice, async {
            let mut sender = Sender::new(&ahead, &port).unwrap();
            let bytes = vec![0; len];
            for _ in 0..100 * SIZE as usize / len {
                sender.send(&bytes).await.unwrap();
            }
        });
        assert!(turns > 70, "sending {len} bytes: {turns}");
    }
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
