// SPDX-License-Identifier: MIT OR Apache-2.0
//! Xenstore without memory: whichever allocation fails, and wherever a future is dropped, nothing
//! panics and nothing of ours stays open at the daemon.

mod common;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use common::domid;
use drivers::xenstore::{Permission, Reader, WatchEvent, XenStore, names};
use drivers::{Errno, Error};
use embassy_futures::poll_once;
use fake_xen::heap::{self, Heap, Refusal};
use fake_xen::{FakeXen, Guest, Pair, Task};

#[global_allocator]
static HEAP: Heap = Heap;

type Store = XenStore<FakeXen>;

/// Checks that everything of ours is closed, and that everything can be opened.
async fn works(guest: &Guest, xs: &Store) {
    xs.write("data/after", b"works").await.unwrap();
    assert_eq!(xs.read("data/after").await.unwrap(), b"works");
    // Everything posted earlier is answered before this.
    xs.read("domid").await.unwrap();
    let published = xs.read("data/published").await.map_err(|error| error.errno());
    assert_eq!(published, Err(Errno::ENOENT), "a published node is left");
    assert_eq!(guest.xen.xenstore_watches(), 0, "a watch is left");
    assert_eq!(guest.xen.xenstore_transactions(), 0, "a transaction is left");
    let transaction = xs.transaction().await.unwrap();
    transaction.write("data/after", b"again").await.unwrap();
    transaction.commit().await.unwrap();
    let mut watch = xs.watch("data/after").await.unwrap();
    assert!(matches!(watch.event().await, Ok(WatchEvent::Changed(_))));
    drop(watch);
    assert_eq!(xs.read("data/after").await.unwrap(), b"again");
    xs.read("domid").await.unwrap();
    assert_eq!(guest.xen.xenstore_watches(), 0);
}

/// Runs `scenario` with each allocation refused in turn, at several daemon speeds, dropped after
/// any number of polls. Returns how many allocations and polls there are.
fn refuse_each(scenario: impl AsyncFn(&Store) -> Result<(), Error>) -> (u32, u32) {
    let (mut requests, mut most_polls) = (0, 0);
    for pace in [1024, 19] {
        for polls in (0..).map(Some).take(40).chain([None]) {
            for refused in 0.. {
                let (taken, done) = run_refusing(&scenario, pace, polls, refused);
                (requests, most_polls) = (requests.max(refused), most_polls.max(taken));
                if !done {
                    break;
                }
            }
        }
    }
    (requests, most_polls)
}

fn run_refusing(
    scenario: &impl AsyncFn(&Store) -> Result<(), Error>,
    pace: usize,
    polls: Option<u32>,
    refused: u32,
) -> (u32, bool) {
    let Pair { world, alice, .. } = Pair::new();
    alice.xen.xenstore_pace(pace);
    let refusal = Refusal::after(refused);
    let mut taken = 0;
    world.run([Task::new(&alice.events, async {
        let xs = alice.xenstore.clone().unwrap();
        let mut run = Box::pin(scenario(&xs));
        let result = poll_fn(|cx| {
            if polls.is_some_and(|polls| taken >= polls) {
                return Poll::Ready(None);
            }
            taken += 1;
            refusal.over(|| run.as_mut().poll(cx)).map(Some)
        })
        .await;
        refusal.over(|| drop(run));
        if let Some(Err(error)) = result {
            assert_eq!(error.errno(), Errno::ENOMEM, "request {refused}: {error}");
            assert!(refusal.is_done(), "nothing was refused");
        }
        works(&alice, &xs).await;
    })]);
    (taken, refusal.is_done())
}

#[test]
fn reading_and_writing() {
    let (requests, polls) = refuse_each(async |xs| {
        xs.write("data/a", &[7; 100]).await?;
        assert_eq!(xs.read("data/a").await?, [7; 100]);
        xs.mkdir("data/b").await?;
        assert_eq!(names(&xs.directory("data").await?).count(), 2);
        let own = [Permission::read(domid(1)), Permission::both(domid(2))];
        xs.set_permissions("data/a", &own).await?;
        assert_eq!(xs.permissions("data/a").await?, own);
        xs.remove_later("data/b");
        xs.remove("data/a").await.map(drop)
    });
    assert!(requests > 12 && polls > 30, "{requests} {polls}");
}

#[test]
fn a_committed_transaction() {
    let (requests, polls) = refuse_each(async |xs| {
        let transaction = xs.transaction().await?;
        transaction.write("data/a", b"1").await?;
        assert_eq!(transaction.read("data/a").await?, b"1");
        transaction.commit().await
    });
    assert!(requests > 6 && polls > 8, "{requests} {polls}");
}

#[test]
fn a_dropped_transaction() {
    let (requests, polls) = refuse_each(async |xs| {
        let transaction = xs.transaction().await?;
        transaction.write("data/a", b"1").await?;
        drop(transaction);
        let second = xs.transaction().await?;
        drop((xs.transaction().await?, second));
        Ok(())
    });
    assert!(requests > 8 && polls > 8, "{requests} {polls}");
}

#[test]
fn a_watch_and_its_events() {
    let (requests, polls) = refuse_each(async |xs| {
        let mut watch = xs.watch("data").await?;
        let mut other = xs.watch("data/a").await?;
        watch.event().await?;
        xs.write("data/a", b"1").await?;
        watch.event().await?;
        drop(watch);
        other.event().await.map(drop)
    });
    assert!(requests > 10 && polls > 12, "{requests} {polls}");
}

#[test]
fn a_commit_reports_its_result_even_without_memory() {
    for (name, expected) in [(None, Ok(())), (Some("EAGAIN"), Err(Errno::EAGAIN))] {
        for refused in 0.. {
            let Pair { world, alice, .. } = Pair::new();
            let refusal = Refusal::after(refused);
            world.run([Task::new(&alice.events, async {
                let xs = alice.xenstore.clone().unwrap();
                let transaction = xs.transaction().await.unwrap();
                name.iter().for_each(|name| alice.xen.xenstore_fail(1, name));
                let commit = Box::pin(transaction.commit());
                let done = refusal.during(|| true, commit).await;
                assert_eq!(done.map_err(|error| error.errno()), expected, "{refused}");
            })]);
            if !refusal.is_done() {
                break;
            }
        }
    }
}

#[test]
fn closing_does_not_allocate_however_much_is_pending() {
    for opened in 1..10 {
        let Pair { world, alice, .. } = Pair::new();
        world.run([Task::new(&alice.events, async {
            let xs = alice.xenstore.clone().unwrap();
            let mut open = Vec::new();
            for _ in 0..opened {
                open.push((xs.watch("data").await.unwrap(), xs.transaction().await.unwrap()));
            }
            world.xenstore_daemon(false);
            // Fill all places for pending requests, and more.
            let mut reads: Vec<_> = (0..20).map(|_| Box::pin(xs.read("domid"))).collect();
            for read in &mut reads {
                poll_fn(|cx| {
                    assert!(read.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            assert_eq!(heap::requests(|| drop(open)), 0, "{opened} opened");
            world.xenstore_daemon(true);
            for read in reads {
                read.await.unwrap();
            }
            xs.read("domid").await.unwrap();
            assert_eq!(alice.xen.xenstore_watches() + alice.xen.xenstore_transactions(), 0);
        })]);
    }
}

#[test]
fn a_published_node() {
    let (requests, polls) = refuse_each(async |xs| {
        // A reader that doesn't exist yet, so it is awaited.
        let node = xs.publish("data/published", b"1", Reader::Domain(domid(7))).await?;
        node.write(b"2").await?;
        drop(node);
        xs.publish("data/published", b"3", Reader::Domain(domid(2))).await.map(drop)
    });
    assert!(requests > 12 && polls > 12, "{requests} {polls}");
}

#[test]
fn permitting_a_late_reader_waits_for_memory() {
    for refused in 0.. {
        let Pair { world, alice, .. } = Pair::new();
        let refusal = Refusal::after(refused);
        world.run([Task::new(&alice.events, async {
            let xs = alice.xenstore.clone().unwrap();
            let reader = Reader::Domain(domid(7));
            let _node = xs.publish("data/published", b"1", reader).await.unwrap();
            let _late = world.guest(7, fake_xen::Config::default());
            let mut upkeep = Box::pin(alice.upkeep());
            let mut later = Box::pin(alice.system.sleep_until(3_500_000_000));
            poll_fn(|cx| {
                assert!(refusal.over(|| upkeep.as_mut().poll(cx)).is_pending());
                later.as_mut().poll(cx)
            })
            .await;
            assert_eq!(xs.permissions("data/published").await.unwrap().len(), 2, "{refused}");
        })]);
        if !refusal.is_done() {
            assert!(refused > 2, "{refused}");
            return;
        }
    }
}

#[test]
fn several_requests_dropped_midway() {
    let (requests, _) = refuse_each(async |xs| {
        let mut begin = pin!(xs.transaction());
        let mut watch = pin!(xs.watch("data"));
        let mut write = pin!(xs.write("data/long", &[1; 500]));
        let mut done = [false; 3];
        for _ in 0..4 {
            // Poll each once per turn of the daemon.
            poll_fn(|cx| {
                done[0] = done[0] || begin.as_mut().poll(cx).is_ready();
                done[1] = done[1] || watch.as_mut().poll(cx).is_ready();
                done[2] = done[2] || write.as_mut().poll(cx).is_ready();
                Poll::Ready(())
            })
            .await;
            embassy_futures::yield_now().await;
        }
        Ok(())
    });
    assert!(requests > 6, "{requests}");
}

#[test]
fn publications_that_wait_for_room_are_dropped_without_allocating() {
    let Pair { world, alice, .. } = Pair::new();
    world.run([Task::new(&alice.events, async {
        let xs = alice.xenstore.clone().unwrap();
        world.xenstore_daemon(false);
        let mut reads: Vec<_> = (0..16).map(|_| xs.read("domid")).collect();
        for read in &mut reads {
            assert!(poll_once(read).is_pending());
        }
        let mut waiting: Vec<_> =
            (0..40).map(|_| Box::pin(xs.publish("data/published", b"", Reader::Anyone))).collect();
        for publish in &mut waiting {
            assert!(poll_once(publish.as_mut()).is_pending());
        }
        assert_eq!(heap::requests(|| drop(waiting)), 0);
        world.xenstore_daemon(true);
        for read in reads {
            read.await.unwrap();
        }
        works(&alice, &xs).await;
    })]);
}

/// Asserts that `call`, repeated, never allocates more than at first.
fn cost_is_steady(call: impl AsyncFn(&Store)) {
    let Pair { world, alice, .. } = Pair::new();
    let xs = alice.xenstore.clone().unwrap();
    let hundreds = || {
        heap::requests(|| {
            world.run([Task::new(&alice.events, async {
                for _ in 0..200 {
                    call(&xs).await;
                }
            })]);
        })
    };
    hundreds();
    let cost = hundreds();
    (0..6).for_each(|_| assert_eq!(hundreds(), cost));
}

#[test]
fn closed_or_refused_requests_keep_no_memory() {
    cost_is_steady(async |xs| {
        let refused = xs.publish("control/mine", b"", Reader::Anyone).await;
        assert_eq!(refused.unwrap_err().errno(), Errno::EACCES);
    });
    cost_is_steady(async |xs| drop(xs.publish("data/a", b"", Reader::Anyone).await.unwrap()));
    cost_is_steady(async |xs| drop(xs.watch("data").await.unwrap()));
    cost_is_steady(async |xs| assert!(xs.watch("data//a").await.is_err()));
    cost_is_steady(async |xs| xs.transaction().await.unwrap().commit().await.unwrap());
    cost_is_steady(async |xs| drop(xs.transaction().await.unwrap()));
}
