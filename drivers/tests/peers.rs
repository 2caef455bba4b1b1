// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains that know nothing of each other find each other.

mod common;

use common::{ALICE, BOB, domid, errno};
use drivers::peers::{Lookout, News, find, look, publish};
use drivers::xenstore::Reader;
use drivers::{DomId, Errno};
use embassy_futures::select::{Either, select};
use fake_xen::{Config, ConsoleKind, Guest, Pair, Task, World};

const MS: u64 = 1_000_000;
const NODE: &str = "data/vault";

async fn pause(guest: &Guest, ms: u64) {
    guest.system.sleep_until(guest.system.now() + ms * MS).await;
}

/// Accepts any node: returns its owner and value.
fn anything(domid: DomId, said: &[u8]) -> Option<(DomId, Vec<u8>)> {
    Some((domid, said.to_vec()))
}

#[test]
fn a_publisher_is_found_in_either_order() {
    for [early, late] in [[0, 50], [50, 0], [0, 5000]] {
        let Pair { world, alice, bob } = Pair::new();
        let published = async {
            pause(&alice, early).await;
            let node = publish(&alice, NODE, b"8", Reader::Anyone).await.unwrap();
            pause(&alice, 6000).await;
            drop(node);
        };
        let finds = async {
            pause(&bob, late).await;
            assert_eq!(find(&bob, NODE, anything).await.unwrap(), (alice.domid, b"8".to_vec()));
            let took = bob.system.now() / MS - early.max(late);
            assert!(took <= 1, "{took} ms");
        };
        world.run([Task::new(&alice.events, published), Task::new(&bob.events, finds)]);
    }
}

#[test]
fn each_may_name_the_other_and_takes_only_that_one() {
    let Pair { world, alice, bob } = Pair::new();
    let other = world.guest(3, Config::default());
    let busy = async {
        let _node = publish(&other, NODE, b"for 9", Reader::Anyone).await.unwrap();
        pause(&other, 300).await;
    };
    let serves = async {
        pause(&alice, 100).await;
        let calls_us = |domid, said: &[u8]| (said == b"1").then_some(domid);
        let whom = find(&alice, "data/call", calls_us).await.unwrap();
        let offer = format!("for {whom}");
        let _node = publish(&alice, NODE, offer.as_bytes(), Reader::Domain(whom)).await.unwrap();
        pause(&alice, 100).await;
    };
    let calls = async {
        let _call = publish(&bob, "data/call", b"1", Reader::Anyone).await.unwrap();
        let mut refused = Vec::new();
        let granter = find(&bob, NODE, |domid, said| {
            let mine = said == b"for 2";
            (!mine).then(|| refused.push(domid.get()));
            mine.then_some(domid)
        });
        assert_eq!(granter.await.unwrap(), alice.domid);
        assert!(refused.contains(&3), "{refused:?}");
    };
    world.run([
        Task::new(&alice.events, serves),
        Task::new(&bob.events, calls),
        Task::new(&other.events, busy),
    ]);
}

#[test]
fn a_node_that_goes_and_comes_back_is_news_and_our_own_is_not() {
    let Pair { world, alice, bob } = Pair::new();
    let published = async {
        for _ in 0..2 {
            pause(&alice, 100).await;
            let node = publish(&alice, NODE, b"8", Reader::Anyone).await.unwrap();
            pause(&alice, 100).await;
            drop(node);
        }
    };
    let watches = async {
        let mut lookout = Lookout::new(&bob, NODE).await.unwrap();
        assert_eq!(lookout.news(None).await.unwrap(), News::Anywhere);
        let _own = publish(&bob, NODE, b"9", Reader::Anyone).await.unwrap();
        let _other = publish(&bob, "data/other", b"9", Reader::Anyone).await.unwrap();
        let quiet = Some(bob.system.now() + 50 * MS);
        assert_eq!(lookout.news(quiet).await.unwrap(), News::Nothing);
        let mut seen = Vec::new();
        while seen.len() < 4 {
            assert_eq!(lookout.news(None).await.unwrap(), News::At(alice.domid));
            let said = look(&bob, alice.domid, NODE).await.unwrap().is_some();
            // Creating a node and permitting others to read it are two changes.
            if seen.last() != Some(&said) {
                seen.push(said);
            }
        }
        assert_eq!(seen, [true, false, true, false]);
    };
    world.run([Task::new(&alice.events, published), Task::new(&bob.events, watches)]);
}

#[test]
fn candidates_are_one_domain_after_its_news_and_otherwise_all_near_ones() {
    let Pair { world, alice, bob } = Pair::new();
    let published = async {
        pause(&alice, 100).await;
        let _node = publish(&alice, NODE, b"8", Reader::Anyone).await.unwrap();
        pause(&alice, 5000).await;
    };
    let watches = async {
        let mut lookout = Lookout::new(&bob, NODE).await.unwrap();
        let first: Vec<_> = lookout.candidates(0).await.unwrap().collect();
        assert_eq!(first.len(), 130, "0 and 1, and 3 to 130");
        assert_eq!(first[..3], [ALICE, 3, 0].map(domid));
        let first = lookout.candidates(u64::MAX).await.unwrap();
        assert!(first.count() == 130, "the watch reports it at first");
        let one: Vec<_> = lookout.candidates(u64::MAX).await.unwrap().collect();
        assert_eq!(one, [alice.domid]);
    };
    world.run([Task::new(&alice.events, published), Task::new(&bob.events, watches)]);
}

#[test]
fn an_unreadable_node_looks_absent() {
    let Pair { world, alice, bob } = Pair::new();
    let other = world.guest(3, Config::default());
    let test = async {
        let _node = publish(&alice, NODE, b"8", Reader::Domain(other.domid)).await.unwrap();
        pause(&alice, 200).await;
    };
    let looks = async {
        pause(&bob, 100).await;
        assert_eq!(look(&bob, alice.domid, NODE).await, Ok(None));
        assert_eq!(look(&bob, domid(77), NODE).await, Ok(None));
        let late = bob.system.sleep_until(bob.system.now() + 50 * MS);
        let found = select(find(&bob, NODE, anything), late).await;
        assert!(matches!(found, Either::Second(())), "{found:?}");
    };
    let finds = async {
        pause(&other, 100).await;
        assert_eq!(find(&other, NODE, anything).await.unwrap().0, alice.domid);
    };
    world.run([
        Task::new(&alice.events, test),
        Task::new(&bob.events, looks),
        Task::new(&other.events, finds),
    ]);
}

#[test]
fn a_busy_xenstore_is_asked_five_times_and_one_that_refuses_once() {
    for (name, times, passes) in [("EAGAIN", 4, true), ("EAGAIN", 5, false), ("ENOSPC", 1, false)] {
        let Pair { world, alice, .. } = Pair::new();
        (1..=times).for_each(|nth| alice.xen.xenstore_fail(nth, name));
        let test = async {
            let answer = publish(&alice, NODE, b"8", Reader::Anyone).await.map(drop);
            assert_eq!(answer.is_ok(), passes, "{name} {times}: {answer:?}");
            let waited = alice.system.now() / (20 * MS);
            assert_eq!(waited, if name == "EAGAIN" { 4 } else { 0 }, "{name} {times}");
        };
        world.run([Task::new(&alice.events, test)]);
    }
}

#[test]
fn without_xenstore_each_call_fails() {
    let world = World::new();
    let config = Config { console: ConsoleKind::Hypervisor, ..Config::default() };
    let dom0 = world.guest(0, config);
    let test = async {
        let published = publish(&dom0, NODE, b"8", Reader::Anyone).await.map(drop);
        assert_eq!(errno(published), Errno::ENODEV);
        assert_eq!(errno(look(&dom0, domid(BOB), NODE).await), Errno::ENODEV);
        assert_eq!(errno(find(&dom0, NODE, anything).await), Errno::ENODEV);
        assert_eq!(errno(Lookout::new(&dom0, NODE).await.map(drop)), Errno::ENODEV);
    };
    world.run([Task::new(&dom0.events, test)]);
}
