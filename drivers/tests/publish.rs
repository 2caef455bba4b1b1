// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nodes for one reader that may appear later: it can read them, whichever daemon serves.

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;

use common::{ALICE, BOB, domid, errno};
use drivers::xenstore::{Permission, Reader, XenStore};
use drivers::{Call, Errno, Error};
use embassy_futures::poll_once;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use fake_xen::{Config, FakeXen, Guest, Pair, Task, World};

const MS: u64 = 1_000_000;
/// A domain that doesn't exist yet.
const LATE: u16 = 7;
const NODE: &str = "data/for-you";
const SEEN: &str = "/local/domain/1/data/for-you";

fn store(guest: &Guest) -> XenStore<FakeXen> {
    guest.xenstore.clone().expect("an ordinary guest has xenstore")
}

async fn pause(guest: &Guest, ms: u64) {
    guest.system.sleep_until(guest.system.now() + ms * MS).await;
}

/// Runs a test in Alice, next to her upkeep.
fn with_upkeep(alice: &Guest, test: impl Future<Output = ()>) {
    let both = async {
        select(test, alice.upkeep()).await;
    };
    alice.xen.world().run([Task::new(&alice.events, both)]);
}

/// Yields two guests under each kind of daemon, and whether the daemon keeps permissions for
/// domains that don't exist.
fn each_daemon() -> impl Iterator<Item = (bool, Pair)> {
    [false, true].into_iter().map(|keeps| {
        let pair = Pair::new();
        if keeps {
            pair.world.xenstore_keeps_permissions();
        }
        (keeps, pair)
    })
}

/// Reads Alice's node for a guest without a task of its own.
async fn read_by(guest: &Guest) -> Result<Vec<u8>, Error> {
    let mut read = pin!(store(guest).read(SEEN));
    loop {
        guest.events.dispatch();
        if let Poll::Ready(answer) = poll_once(read.as_mut()) {
            return answer;
        }
        yield_now().await;
    }
}

fn questions(guest: &Guest) -> u64 {
    guest.system.counters().calls(Call::EvtchnStatus)
}

#[test]
fn one_daemon_drops_a_permission_for_an_absent_domain_and_the_other_keeps_it() {
    for (keeps, Pair { world, alice, .. }) in each_daemon() {
        with_upkeep(&alice, async {
            let xs = store(&alice);
            let list = [ALICE, LATE, BOB].map(|number| Permission::none(domid(number)));
            xs.write(NODE, b"hello").await.unwrap();
            xs.set_permissions(NODE, &list).await.unwrap();
            let kept = xs.permissions(NODE).await.unwrap();
            let there = [list[0], list[2]];
            assert_eq!(kept, if keeps { &list[..] } else { &there });
            world.destroy(BOB);
            let kept = xs.permissions(NODE).await.unwrap();
            assert_eq!(kept, if keeps { &list[..] } else { &list[..1] });
        });
    }
}

#[test]
fn an_existing_reader_can_read_at_once_and_nobody_else() {
    let Pair { world, alice, bob } = Pair::new();
    let other = world.guest(LATE, Config::default());
    with_upkeep(&alice, async {
        let before = questions(&alice);
        let xs = store(&alice);
        let node = xs.publish(NODE, b"hello", Reader::Domain(bob.domid)).await.unwrap();
        assert_eq!(read_by(&bob).await.unwrap(), b"hello");
        assert_eq!(errno(read_by(&other).await), Errno::EACCES);
        let list = [Permission::none(alice.domid), Permission::read(bob.domid)];
        assert_eq!(xs.permissions(NODE).await.unwrap(), list);
        node.write(b"again").await.unwrap();
        assert_eq!(read_by(&bob).await.unwrap(), b"again");
        pause(&alice, 60_000).await;
        assert!(questions(&alice) <= before + 1, "nobody is awaited");
        drop(node);
        assert_eq!(errno(xs.read(NODE).await), Errno::ENOENT);
        let _node = xs.publish(NODE, b"for all", Reader::Anyone).await.unwrap();
        assert_eq!(read_by(&other).await.unwrap(), b"for all");
        assert!(questions(&alice) <= before + 1);
    });
}

#[test]
fn a_late_reader_can_read_within_a_second_and_is_then_no_longer_awaited() {
    for (_, Pair { world, alice, .. }) in each_daemon() {
        with_upkeep(&alice, async {
            let xs = store(&alice);
            let reader = Reader::Domain(domid(LATE));
            let _node = xs.publish(NODE, b"hello", reader).await.unwrap();
            let before = questions(&alice);
            pause(&alice, 60_300).await;
            let asked = questions(&alice) - before;
            assert!((59..=61).contains(&asked), "asked {asked} times in a minute");
            let late = world.guest(LATE, Config::default());
            pause(&alice, 1_100).await;
            assert_eq!(read_by(&late).await.unwrap(), b"hello");
            let before = questions(&alice);
            pause(&alice, 60_000).await;
            assert_eq!(questions(&alice), before);
            // The next awaited reader is asked for again.
            let reader = Reader::Domain(domid(LATE + 1));
            let node = xs.publish("data/other", b"", reader).await.unwrap();
            pause(&alice, 10_100).await;
            assert!(questions(&alice) >= before + 10);
            drop(node);
            let before = questions(&alice);
            pause(&alice, 10_000).await;
            assert!(questions(&alice) <= before + 1, "a node that is gone awaits nobody");
        });
    }
}

#[test]
fn a_reader_that_appears_at_any_moment_of_publishing_can_read() {
    let polls = Cell::new(0);
    for moment in 0.. {
        let Pair { world, alice, .. } = Pair::new();
        alice.xen.xenstore_pace(9);
        let come = Cell::new(false);
        with_upkeep(&alice, async {
            let xs = store(&alice);
            let mut late = None;
            let mut publish = pin!(xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))));
            polls.set(0);
            let _node = loop {
                if polls.get() == moment {
                    late = Some(world.guest(LATE, Config::default()));
                    come.set(true);
                }
                polls.set(polls.get() + 1);
                if let Poll::Ready(node) = poll_once(publish.as_mut()) {
                    break node.unwrap();
                }
                yield_now().await;
            };
            let late = late.unwrap_or_else(|| world.guest(LATE, Config::default()));
            pause(&alice, 1_100).await;
            assert_eq!(read_by(&late).await.unwrap(), b"hello", "it came after {moment} polls");
        });
        if !come.get() {
            assert!(moment > 10, "{moment}");
            return;
        }
    }
}

#[test]
fn a_daemon_that_is_busy_when_the_reader_appears_is_asked_again() {
    let Pair { world, alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        let _node = xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))).await.unwrap();
        alice.xen.xenstore_fail(1, "EAGAIN");
        alice.xen.xenstore_fail(2, "ENOMEM");
        let late = world.guest(LATE, Config::default());
        pause(&alice, 3_100).await;
        assert_eq!(read_by(&late).await.unwrap(), b"hello");
        let asked = alice.xen.xenstore_requests();
        pause(&alice, 10_000).await;
        assert_eq!(alice.xen.xenstore_requests(), asked);
    });
}

#[test]
fn a_node_that_can_no_longer_be_permitted_is_given_up() {
    let Pair { world, alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        let _node = xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))).await.unwrap();
        xs.remove(NODE).await.unwrap();
        let late = world.guest(LATE, Config::default());
        pause(&alice, 1_100).await;
        assert!(read_by(&late).await.is_err());
        let (asked, before) = (alice.xen.xenstore_requests(), questions(&alice));
        pause(&alice, 10_000).await;
        assert_eq!((alice.xen.xenstore_requests(), questions(&alice)), (asked, before));
    });
}

#[test]
fn a_publication_abandoned_at_any_moment_leaves_no_node() {
    for (pace, polls) in [9, 1024].into_iter().flat_map(|pace| (0..40).map(move |n| (pace, n))) {
        let Pair { world, alice, .. } = Pair::new();
        alice.xen.xenstore_pace(pace);
        with_upkeep(&alice, async {
            let xs = store(&alice);
            {
                let mut publish = pin!(xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))));
                for _ in 0..polls {
                    if poll_once(publish.as_mut()).is_ready() {
                        break;
                    }
                    yield_now().await;
                }
            }
            assert_eq!(errno(xs.read(NODE).await), Errno::ENOENT, "{polls} polls");
            let before = questions(&alice);
            pause(&alice, 5_000).await;
            assert!(questions(&alice) <= before + 1, "nobody is awaited");
        });
        assert_eq!(world.xenstore_read(SEEN), None);
    }
}

#[test]
fn a_publication_abandoned_before_it_is_sent_leaves_the_earlier_node() {
    let Pair { world, alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        xs.write(NODE, b"ours").await.unwrap();
        world.xenstore_daemon(false);
        let mut reads: Vec<_> = (0..16).map(|_| xs.read("domid")).collect();
        for read in &mut reads {
            assert!(poll_once(read).is_pending());
        }
        {
            let publish = pin!(xs.publish(NODE, b"hello", Reader::Domain(domid(BOB))));
            assert!(poll_once(publish).is_pending(), "there is no room for it");
        }
        world.xenstore_daemon(true);
        for read in reads {
            read.await.unwrap();
        }
        assert_eq!(xs.read(NODE).await.unwrap(), b"ours");
    });
}

#[test]
fn a_reader_that_vanishes_before_xenstore_knows_it_is_awaited_again() {
    for (keeps, Pair { world, alice, .. }) in each_daemon() {
        with_upkeep(&alice, async {
            let xs = store(&alice);
            let _node = xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))).await.unwrap();
            let late = world.guest(LATE, Config::default());
            world.xenstore_daemon(false);
            pause(&alice, 1_100).await;
            world.destroy(LATE);
            drop(late);
            world.xenstore_daemon(true);
            pause(&alice, 1_100).await;
            let before = questions(&alice);
            pause(&alice, 10_000).await;
            assert!(questions(&alice) >= before + 10, "keeps: {keeps}");
        });
    }
}

#[test]
fn a_publication_dropped_while_its_reader_is_admitted_permits_nothing_later() {
    let Pair { world, alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        let node = xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))).await.unwrap();
        // The reader appears while there is no room for more requests.
        world.xenstore_daemon(false);
        let mut reads: Vec<_> = (0..16).map(|_| xs.read("domid")).collect();
        for read in &mut reads {
            assert!(poll_once(read).is_pending());
        }
        let late = world.guest(LATE, Config::default());
        pause(&alice, 1_100).await;
        drop(node);
        world.xenstore_daemon(true);
        for read in reads {
            read.await.unwrap();
        }
        xs.write(NODE, b"ours alone").await.unwrap();
        pause(&alice, 5_000).await;
        assert_eq!(xs.permissions(NODE).await.unwrap(), [Permission::none(alice.domid)]);
        assert_eq!(errno(read_by(&late).await), Errno::EACCES);
    });
}

#[test]
fn a_refused_publication_leaves_the_earlier_node() {
    let Pair { alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        xs.write(NODE, b"ours").await.unwrap();
        let refused = xs.publish(NODE, &[0; 3000], Reader::Domain(domid(BOB))).await;
        assert_eq!(errno(refused.map(drop)), Errno::ENOSPC);
        assert_eq!(xs.read(NODE).await.unwrap(), b"ours");
        // It can be retried any number of times.
        for nth in [1, 1, 2] {
            alice.xen.xenstore_fail(nth, "EAGAIN");
            let refused = xs.publish("data/other", b"1", Reader::Domain(domid(LATE))).await;
            assert_eq!(errno(refused.map(drop)), Errno::EAGAIN);
        }
        let node = xs.publish("data/other", b"1", Reader::Domain(domid(LATE))).await.unwrap();
        assert_eq!(xs.read("data/other").await.unwrap(), b"1");
        drop(node);
        assert_eq!(errno(xs.read("data/other").await), Errno::ENOENT);
    });
}

#[test]
fn a_xen_that_does_not_report_domains_shuts_nobody_out() {
    let Pair { world, alice, bob } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        alice.xen.deny(Call::EvtchnStatus, Some(Errno::ENOSYS));
        let _node = xs.publish(NODE, b"hello", Reader::Domain(bob.domid)).await.unwrap();
        assert_eq!(read_by(&bob).await.unwrap(), b"hello", "it exists and can read at once");
        let reader = Reader::Domain(domid(LATE));
        let _late = xs.publish("data/late", b"hello", reader).await.unwrap();
        let late = world.guest(LATE, Config::default());
        let asked = alice.xen.xenstore_requests();
        pause(&alice, 5_000).await;
        assert_eq!(alice.xen.xenstore_requests(), asked, "nothing is known of the reader");
        alice.xen.deny(Call::EvtchnStatus, None);
        pause(&alice, 1_100).await;
        late.events.dispatch();
        let list = [Permission::none(alice.domid), Permission::read(late.domid)];
        assert_eq!(xs.permissions("data/late").await.unwrap(), list);
        let before = questions(&alice);
        pause(&alice, 10_000).await;
        assert_eq!(questions(&alice), before);
    });
}

#[test]
fn several_nodes_for_one_reader_are_independent() {
    for gone in 0..3 {
        let Pair { world, alice, .. } = Pair::new();
        with_upkeep(&alice, async {
            let xs = store(&alice);
            let paths = ["data/a", "data/b", "data/c"];
            let mut nodes = Vec::new();
            for path in paths {
                let node = xs.publish(path, b"hello", Reader::Domain(domid(LATE))).await;
                nodes.push(node.unwrap());
            }
            drop(nodes.remove(gone));
            // A node published meanwhile is not mistaken for a removed one.
            nodes.push(xs.publish(NODE, b"hello", Reader::Domain(domid(LATE + 1))).await.unwrap());
            world.guest(LATE, Config::default());
            pause(&alice, 1_100).await;
            let list = [Permission::none(alice.domid), Permission::read(domid(LATE))];
            for (n, path) in paths.into_iter().enumerate() {
                let seen = xs.permissions(path).await;
                if n == gone {
                    assert_eq!(errno(seen), Errno::ENOENT);
                } else {
                    assert_eq!(seen.unwrap(), list);
                }
            }
            world.guest(LATE + 1, Config::default());
            pause(&alice, 1_100).await;
            assert_eq!(xs.permissions(NODE).await.unwrap().len(), 2);
            let before = questions(&alice);
            pause(&alice, 5_000).await;
            assert_eq!(questions(&alice), before);
        });
    }
}

#[test]
fn after_the_connection_broke_no_reader_is_awaited() {
    let Pair { world, alice, .. } = Pair::new();
    with_upkeep(&alice, async {
        let xs = store(&alice);
        let reader = Reader::Domain(domid(LATE));
        let node = xs.publish(NODE, b"hello", reader).await.unwrap();
        alice.xen.xenstore_index(true, u32::MAX);
        assert_eq!(errno(xs.read("domid").await), Errno::EIO);
        assert_eq!(errno(xs.publish("data/a", b"", reader).await.map(drop)), Errno::EIO);
        let before = questions(&alice);
        pause(&alice, 5_000).await;
        assert!(questions(&alice) <= before + 1, "nobody can be let in any more");
        world.guest(LATE, Config::default());
        pause(&alice, 1_100).await;
        let before = questions(&alice);
        pause(&alice, 5_000).await;
        assert_eq!(questions(&alice), before);
        drop(node);
        assert_eq!(errno(xs.read("domid").await), Errno::EIO);
    });
}

#[test]
fn a_refused_call_publishes_nothing() {
    let world = World::new();
    let alice = world.guest(ALICE, Config::default());
    with_upkeep(&alice, async {
        let xs = store(&alice);
        let publish = |path: String, value: Vec<u8>| {
            let xs = xs.clone();
            async move { xs.publish(&path, &value, Reader::Domain(domid(BOB))).await.map(drop) }
        };
        assert_eq!(errno(publish(String::new(), vec![]).await), Errno::EINVAL);
        assert_eq!(errno(publish("data/a\0".into(), vec![]).await), Errno::EINVAL);
        assert_eq!(errno(publish("x".repeat(3000), vec![]).await), Errno::E2BIG);
        assert_eq!(errno(publish(NODE.into(), vec![0; 4096]).await), Errno::E2BIG);
        assert_eq!(alice.xen.xenstore_requests(), 0);
        assert_eq!(errno(publish("control/new".into(), vec![]).await), Errno::EACCES);
        xs.read("domid").await.unwrap();
        // Written, but setting permissions fails: the node is removed again.
        alice.xen.xenstore_fail(2, "ENOSPC");
        assert_eq!(errno(publish(NODE.into(), vec![]).await), Errno::ENOSPC);
        assert_eq!(errno(xs.read(NODE).await), Errno::ENOENT);
    });
}

#[test]
fn a_publication_wakes_an_upkeep_asleep_in_its_own_task() {
    let Pair { world, alice, .. } = Pair::new();
    let publisher = async {
        pause(&alice, 500).await;
        let xs = store(&alice);
        let _node = xs.publish(NODE, b"hello", Reader::Domain(domid(LATE))).await.unwrap();
        let late = world.guest(LATE, Config::default());
        pause(&alice, 1_100).await;
        assert_eq!(read_by(&late).await.unwrap(), b"hello");
    };
    let upkeep = async {
        select(alice.upkeep(), pause(&alice, 10_000)).await;
    };
    world.run([Task::new(&alice.events, upkeep), Task::new(&alice.events, publisher)]);
}
