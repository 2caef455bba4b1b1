// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore, with a daemon that answers a guest as the real one does, and with one that doesn't.

mod common;

use std::pin::pin;

use common::{ALICE, BOB, domid, errno};
use drivers::xenstore::{Permission, Reader, WatchEvent, XenStore, names};
use drivers::{Call, Errno};
use embassy_futures::join::join_array;
use embassy_futures::poll_once;
use embassy_futures::yield_now;
use fake_xen::{Config, ConsoleKind, FakeXen, Guest, Pair, Task, World};

const MS: u64 = 1_000_000;

fn store(guest: &Guest) -> XenStore<FakeXen> {
    guest.xenstore.clone().expect("an ordinary guest has xenstore")
}

/// Runs one guest's future alone.
fn run(guest: &Guest, future: impl Future<Output = ()>) {
    guest.xen.world().run([Task::new(&guest.events, future)]);
}

async fn pause(guest: &Guest, ms: u64) {
    guest.system.sleep_until(guest.system.now() + ms * MS).await;
}

#[test]
fn a_guest_reads_writes_lists_and_removes_its_own_nodes() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        assert_eq!(xs.read("domid").await.unwrap(), b"1");
        xs.write("data/a/b", b"one\0two").await.unwrap();
        xs.write("data/a/c", b"").await.unwrap();
        xs.mkdir("data/a/d").await.unwrap();
        assert_eq!(xs.read("data/a/b").await.unwrap(), b"one\0two");
        assert_eq!(xs.read("/local/domain/1/data/a/d").await.unwrap(), b"");
        let list = xs.directory("data/a").await.unwrap();
        assert_eq!(names(&list).collect::<Vec<_>>(), [b"b", b"c", b"d"]);
        xs.remove("data/a").await.unwrap();
        assert_eq!(errno(xs.read("data/a/b").await), Errno::ENOENT);
        assert_eq!(errno(xs.read("data/a").await), Errno::ENOENT);
        xs.remove("data/a").await.unwrap();
        xs.write("data/later", b"1").await.unwrap();
        xs.remove_later("data/later");
        assert_eq!(errno(xs.read("data/later").await), Errno::ENOENT);
    });
}

#[test]
fn removals_that_nobody_awaits_are_bounded_while_the_daemon_is_stopped() {
    let Pair { world, alice, .. } = Pair::new();
    world.run([Task::new(&alice.events, async {
        let xs = alice.xenstore.clone().unwrap();
        world.xenstore_daemon(false);
        for _ in 0..10_000 {
            xs.remove_later("data/later");
        }
        let before = alice.xen.xenstore_requests();
        world.xenstore_daemon(true);
        xs.read("domid").await.unwrap();
        assert_eq!(alice.xen.xenstore_requests() - before, 64 + 1);
        xs.write("data/later", b"").await.unwrap();
        xs.remove_later("data/later");
        assert_eq!(errno(xs.read("data/later").await), Errno::ENOENT, "it goes on");
    })]);
}

#[test]
fn a_guest_may_read_only_nodes_opened_to_it() {
    let Pair { world, alice, bob } = Pair::new();
    let (one, two) = (store(&alice), store(&bob));
    let owner = async {
        one.write("data/open", b"hello").await.unwrap();
        let all = Permission::read(domid(ALICE));
        assert_eq!(one.permissions("data/open").await.unwrap(), [Permission::none(domid(ALICE))]);
        one.set_permissions("data/open", &[all]).await.unwrap();
        assert_eq!(one.permissions("data/open").await.unwrap(), [all]);
        one.write("data/private", b"secret").await.unwrap();
        let bobs = Permission::read(domid(BOB));
        assert_eq!(errno(one.set_permissions("data/private", &[bobs]).await), Errno::EPERM);
        assert_eq!(errno(one.write("control/new", b"").await), Errno::EACCES);
    };
    let other = async {
        pause(&bob, 10).await;
        assert_eq!(two.read("/local/domain/1/data/open").await.unwrap(), b"hello");
        for path in
            ["/local/domain/1/data/private", "/local/domain/9/data/open", "/local/domain/1/data/no"]
        {
            assert_eq!(errno(two.read(path).await), Errno::EACCES, "{path}");
        }
        assert_eq!(errno(two.directory("/local/domain").await), Errno::EACCES);
        assert_eq!(errno(two.write("/local/domain/1/data/open", b"x").await), Errno::EACCES);
    };
    world.run([Task::new(&alice.events, owner), Task::new(&bob.events, other)]);
}

#[test]
fn overlong_paths_and_values_are_refused_before_sending() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        let long = "x".repeat(3000);
        assert_eq!(errno(xs.read(&long).await), Errno::E2BIG);
        assert_eq!(errno(xs.read("").await), Errno::EINVAL);
        assert_eq!(errno(xs.read("a\0b").await), Errno::EINVAL);
        assert_eq!(errno(xs.write("data/a", &[0; 4090]).await), Errno::E2BIG);
        assert_eq!(alice.xen.xenstore_requests(), 0);
        // This fits, but the daemon's quota is smaller.
        assert_eq!(errno(xs.write("data/a", &[0; 4089]).await), Errno::ENOSPC);
        assert_eq!(errno(xs.read("data//a").await), Errno::EINVAL);
    });
}

#[test]
fn a_watch_fires_at_once_and_whenever_any_guests_node_becomes_readable_or_is_removed() {
    let Pair { world, alice, bob } = Pair::new();
    let (one, two) = (store(&alice), store(&bob));
    let changed = |path: &str| Ok(WatchEvent::Changed(path.into()));
    let watcher = async {
        let mut watch = two.watch("/local/domain").await.unwrap();
        let mut own = two.watch("control/shutdown").await.unwrap();
        assert_eq!(watch.event().await, changed("/local/domain"));
        assert_eq!(own.event().await, changed("control/shutdown"));
        assert_eq!(watch.event().await, changed("/local/domain/1/data/open"));
        world.xenstore_write("/local/domain/2/control/shutdown", "poweroff");
        assert_eq!(own.event().await, changed("control/shutdown"));
        assert_eq!(watch.event().await, changed("/local/domain/2/control/shutdown"));
        world.destroy(ALICE);
        assert_eq!(watch.event().await, changed("/local/domain/1/data/open"));
        drop((watch, own));
        two.read("domid").await.unwrap();
        assert_eq!(bob.xen.xenstore_watches(), 0);
    };
    let owner = async {
        pause(&alice, 10).await;
        one.write("data/open", b"hello").await.unwrap();
        let all = Permission::read(domid(ALICE));
        one.set_permissions("data/open", &[all]).await.unwrap();
    };
    world.run([Task::new(&alice.events, owner), Task::new(&bob.events, watcher)]);
}

#[test]
fn a_flood_of_events_is_bounded_and_the_watcher_is_told_to_look_again() {
    let Pair { world, alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        let mut watch = xs.watch("/local/domain/2").await.unwrap();
        watch.event().await.unwrap();
        for round in 0..100 {
            for node in 0..100 {
                let value = format!("{round}").into_bytes();
                world.xenstore_publish(BOB, &format!("data/{node}"), &value);
            }
            // Other requests take the events off the ring.
            assert_eq!(xs.read("domid").await.unwrap(), b"1");
        }
        let (mut kept, mut lost) = (0, 0);
        while lost == 0 {
            match watch.event().await.unwrap() {
                WatchEvent::Changed(_) => kept += 1,
                WatchEvent::Lost(events) => lost = events,
            }
        }
        assert!(kept <= 32 && lost > 6_000, "{kept} {lost}");
    });
}

#[test]
fn a_transaction_takes_effect_completely_or_must_be_redone() {
    let Pair { world, alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        xs.write("data/n", b"1").await.unwrap();
        let tx = xs.transaction().await.unwrap();
        tx.write("data/n", b"2").await.unwrap();
        assert_eq!(xs.read("data/n").await.unwrap(), b"1");
        assert_eq!(tx.read("data/n").await.unwrap(), b"2");
        tx.commit().await.unwrap();
        assert_eq!(xs.read("data/n").await.unwrap(), b"2");
        let tx = xs.transaction().await.unwrap();
        tx.read("data/n").await.unwrap();
        world.xenstore_write("/local/domain/1/data/n", "3");
        tx.write("data/n", b"4").await.unwrap();
        assert_eq!(errno(tx.commit().await), Errno::EAGAIN);
        assert_eq!(xs.read("data/n").await.unwrap(), b"3");
        let tx = xs.transaction().await.unwrap();
        tx.write("data/n", b"5").await.unwrap();
        drop(tx);
        assert_eq!(xs.read("data/n").await.unwrap(), b"3");
        assert_eq!(alice.xen.xenstore_transactions(), 0);
    });
}

#[test]
fn many_tasks_ask_at_once_and_each_gets_its_own_answer() {
    let Pair { alice, .. } = Pair::new();
    alice.xen.xenstore_pace(7);
    run(&alice, async {
        let xs = &store(&alice);
        let task = |n: usize| async move {
            let (path, value) = (format!("data/{n}"), vec![n as u8; 50 * n]);
            xs.write(&path, &value).await.unwrap();
            assert_eq!(xs.read(&path).await.unwrap(), value);
            assert_eq!(errno(xs.read("data/none").await), Errno::ENOENT);
        };
        join_array(std::array::from_fn::<_, 40, _>(task)).await;
    });
}

#[test]
fn unfetched_answers_do_not_block_other_requests() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = &store(&alice);
        let mut answered: Vec<_> = (0..100).map(|_| Box::pin(xs.read("domid"))).collect();
        for request in &mut answered {
            // Sent and answered, but not polled again.
            assert!(poll_once(request.as_mut()).is_pending());
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!(xs.read("domid").await.unwrap(), b"1");
        }
        for request in answered {
            assert_eq!(request.await.unwrap(), b"1");
        }
    });
}

#[test]
fn unanswered_requests_are_bounded() {
    let Pair { world, alice, .. } = Pair::new();
    world.xenstore_daemon(false);
    run(&alice, async {
        let xs = &store(&alice);
        for _ in 0..100 {
            // Dropped at once: at most 16 of them are sent, and none is cut off midway.
            assert!(poll_once(xs.read("domid")).is_pending());
        }
        world.xenstore_daemon(true);
        assert_eq!(xs.read("domid").await.unwrap(), b"1");
        assert_eq!(alice.xen.xenstore_requests(), 17);
    });
}

#[test]
fn a_future_dropped_midway_leaves_the_stream_intact_and_nothing_open() {
    for pace in [1, 5, 100, 1024] {
        for polls in 0..40 {
            let Pair { alice, .. } = Pair::new();
            alice.xen.xenstore_pace(pace);
            run(&alice, async {
                let xs = store(&alice);
                {
                    let mut write = pin!(xs.write("data/long", &[7; 2000]));
                    let mut begin = pin!(xs.transaction());
                    let mut watch = pin!(xs.watch("data"));
                    let mut done = [false; 3];
                    for _ in 0..polls {
                        done[0] = done[0] || poll_once(write.as_mut()).is_ready();
                        done[1] = done[1] || poll_once(begin.as_mut()).is_ready();
                        done[2] = done[2] || poll_once(watch.as_mut()).is_ready();
                        yield_now().await;
                    }
                }
                xs.write("data/short", b"x").await.unwrap();
                assert_eq!(xs.read("data/short").await.unwrap(), b"x");
                if let Ok(value) = xs.read("data/long").await {
                    assert_eq!(value, [7; 2000]);
                }
                // Everything posted earlier is answered before this.
                xs.read("domid").await.unwrap();
                assert_eq!(alice.xen.xenstore_watches(), 0);
                assert_eq!(alice.xen.xenstore_transactions(), 0);
            });
        }
    }
}

#[test]
fn refusals_come_back_as_errnos_known_or_not() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        for (name, expected) in [
            ("EAGAIN", Errno::EAGAIN),
            ("EQUOTA", Errno::EDQUOT),
            ("ENOSPC", Errno::ENOSPC),
            ("EACCES", Errno::EACCES),
            ("ESOMETHING", Errno::EIO),
            ("", Errno::EIO),
        ] {
            alice.xen.xenstore_fail(2, name);
            xs.write("data/a", b"x").await.unwrap();
            assert_eq!(errno(xs.write("data/a", b"x").await), expected, "{name}");
        }
        alice.xen.xenstore_fail(1, "E2BIG");
        assert_eq!(errno(xs.watch("data").await), Errno::E2BIG);
        xs.read("domid").await.unwrap();
    });
}

#[test]
fn a_refused_request_is_not_undone() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        alice.xen.xenstore_fail(1, "E2BIG");
        alice.xen.xenstore_fail(2, "ENOSPC");
        assert!(poll_once(xs.watch("data")).is_pending());
        assert!(poll_once(xs.transaction()).is_pending());
        xs.read("domid").await.unwrap();
        xs.read("domid").await.unwrap();
        assert_eq!(alice.xen.xenstore_requests(), 4);
    });
}

#[test]
fn an_impossible_index_fails_every_waiter_and_every_later_request() {
    for (answers, value) in [(true, 1_000_000), (true, u32::MAX), (false, 5000), (false, 1 << 31)] {
        let Pair { alice, world, .. } = Pair::new();
        world.xenstore_daemon(false);
        run(&alice, async {
            let xs = &store(&alice);
            let begin = async {
                yield_now().await;
                alice.xen.xenstore_index(answers, value);
            };
            let waiter = |_| async { assert_eq!(errno(xs.read("domid").await), Errno::EIO) };
            let waiters = join_array(std::array::from_fn::<_, 20, _>(waiter));
            embassy_futures::join::join(begin, waiters).await;
            assert_eq!(errno(xs.write("data/a", b"").await), Errno::EIO);
            assert_eq!(errno(xs.watch("data").await), Errno::EIO);
        });
    }
}

#[test]
fn finding_the_ring_broken_wakes_all_waiters() {
    let Pair { alice, world, .. } = Pair::new();
    world.xenstore_daemon(false);
    let xs = store(&alice);
    let read = || async { assert_eq!(errno(xs.read("domid").await), Errno::EIO) };
    let mut waits = Task::new(&alice.events, read());
    while waits.step() {}
    alice.xen.xenstore_index_untold(true, 1_000_000);
    let mut finds = Task::new(&alice.events, read());
    while finds.step() {}
    while waits.step() {}
    assert!(finds.is_done() && waits.is_done());
}

#[test]
fn garbage_in_the_stream_is_an_error_and_never_a_panic() {
    let header = |kind: u32, id: u32, len: u32| {
        [kind, id, 0, len].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()
    };
    let with = |mut bytes: Vec<u8>, payload: &[u8]| {
        bytes.extend_from_slice(payload);
        bytes
    };
    // An answer of another type, an impossible length, malformed events, answers to no request.
    let cases = [
        (with(header(11, 1, 3), b"OK\0"), Some(Errno::EIO)),
        (header(2, 1, 4097), Some(Errno::EIO)),
        (header(2, 1, u32::MAX), Some(Errno::EIO)),
        (with(header(15, 0, 3), b"a\0b"), None),
        (with(header(15, 0, 6), b"\xff\xff\x001\0\0"), None),
        (header(15, 0, 0), None),
        (with(header(2, 77, 2), b"no"), None),
        (header(u32::MAX, 0, 0), None),
        (with(header(16, 1, 4), b"\xff\xff\xff\xff"), Some(Errno::EIO)),
        (header(16, 1, 0), Some(Errno::EIO)),
    ];
    for (bytes, expected) in cases {
        let Pair { alice, .. } = Pair::new();
        run(&alice, async {
            let xs = store(&alice);
            alice.xen.xenstore_garbage(&bytes);
            let read = xs.read("domid").await;
            assert_eq!(read.map_err(|error| error.errno()).err(), expected, "{bytes:?}");
        });
    }
}

#[test]
fn the_indices_may_wrap() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        for round in 0..3000_u32 {
            let value = vec![round as u8; round as usize % 1500];
            xs.write("data/a", &value).await.unwrap();
            assert_eq!(xs.read("data/a").await.unwrap(), value);
        }
    });
}

#[test]
fn a_guest_booted_as_dom0_has_no_xenstore() {
    let config = Config { console: ConsoleKind::Hypervisor, ..Config::default() };
    let guest = World::new().guest(0, config);
    assert!(guest.xenstore.is_none());
}

#[test]
fn the_daemon_is_notified_only_of_requests_and_of_room_left_by_answers() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        let told = || alice.system.counters().calls(Call::EvtchnSend);
        let mut read = pin!(xs.read("domid"));
        let before = told();
        for _ in 0..3 {
            assert!(poll_once(read.as_mut()).is_pending());
            assert_eq!(told(), before + 1);
        }
        assert_eq!(read.await.unwrap(), b"1");
        assert_eq!(told(), before + 2);
    });
}

#[test]
fn debug_output_names_the_part_of_the_connection() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        assert_eq!(format!("{xs:?}"), "XenStore { transaction: 0, .. }");
        assert_eq!(format!("{:?}", xs.read("domid")), "Request { .. }");
        let tx = xs.transaction().await.unwrap();
        assert_eq!(format!("{:?}", *tx), "XenStore { transaction: 1, .. }");
        let watch = xs.watch("data").await.unwrap();
        assert_eq!(format!("{watch:?}"), "Watch { token: 1, .. }");
        let node = xs.publish("data/all", b"", Reader::Anyone).await.unwrap();
        assert_eq!(format!("{node:?}"), "Publication { id: 0, .. }");
    });
}
