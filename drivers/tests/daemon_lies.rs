// SPDX-License-Identifier: MIT OR Apache-2.0
//! A xenstore daemon that answers out of order, twice, or before it can have seen the request: each
//! request gets its own answer, once, and the stream stays intact.

mod common;

use std::pin::pin;

use common::errno;
use drivers::Errno;
use drivers::xenstore::XenStore;
use embassy_futures::join::join_array;
use embassy_futures::poll_once;
use embassy_futures::yield_now;
use fake_xen::{FakeXen, Guest, Pair, Task};

const READ: u32 = 2;
const TRANSACTION_START: u32 = 6;
const WRITE: u32 = 11;

fn store(guest: &Guest) -> XenStore<FakeXen> {
    guest.xenstore.clone().expect("an ordinary guest has xenstore")
}

fn run(guest: &Guest, test: impl Future<Output = ()>) {
    guest.xen.world().run([Task::new(&guest.events, test)]);
}

/// Encodes a message from the daemon.
fn message(kind: u32, id: u32, payload: &[u8]) -> Vec<u8> {
    let words = [kind, id, 0, payload.len() as u32];
    words.iter().flat_map(|word| word.to_le_bytes()).chain(payload.iter().copied()).collect()
}

#[test]
fn answers_in_any_order_and_twice_reach_the_right_request() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        // All three are sent, then answered in reverse order, each twice.
        for id in [3, 3, 2, 2, 1, 1] {
            alice.xen.xenstore_garbage(&message(READ, id, format!("answer {id}").as_bytes()));
        }
        let answers = join_array(["domid", "name", "data"].map(|path| xs.read(path))).await;
        let answers = answers.map(Result::unwrap);
        assert_eq!(answers, [&b"answer 1"[..], b"answer 2", b"answer 3"]);
        // The daemon's own answers to them now belong to no request.
        xs.write("data/a", b"1").await.unwrap();
        assert_eq!(xs.read("data/a").await.unwrap(), b"1");
    });
}

#[test]
fn the_first_of_two_answers_counts_even_if_not_yet_fetched() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        alice.xen.xenstore_garbage(&message(READ, 1, b"first"));
        let mut kept = pin!(xs.read("domid"));
        assert!(poll_once(kept.as_mut()).is_pending());
        // Another request moves it off the ring, together with the daemon's own answer.
        assert_eq!(xs.read("domid").await.unwrap(), b"1");
        assert_eq!(kept.await.unwrap(), b"first");
    });
}

#[test]
fn the_longest_possible_answer_arrives_intact() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        alice.xen.xenstore_garbage(&message(READ, 1, &[7; 4096]));
        assert_eq!(xs.read("domid").await.unwrap(), [7; 4096]);
        xs.write("data/a", b"1").await.unwrap();
        assert_eq!(xs.read("data/a").await.unwrap(), b"1");
    });
}

#[test]
fn an_answer_from_before_the_ring_broke_can_still_be_fetched() {
    let Pair { alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        xs.write("data/a", b"1").await.unwrap();
        let mut kept = pin!(xs.read("data/a"));
        assert!(poll_once(kept.as_mut()).is_pending());
        xs.read("domid").await.unwrap();
        alice.xen.xenstore_index(true, u32::MAX);
        assert_eq!(errno(xs.read("domid").await), Errno::EIO);
        assert_eq!(kept.await.unwrap(), b"1");
    });
}

#[test]
fn an_answer_to_a_request_not_yet_sent_is_ignored() {
    let Pair { world, alice, .. } = Pair::new();
    run(&alice, async {
        let xs = store(&alice);
        world.xenstore_daemon(false);
        // Four times the ring's size, of which the daemon has seen one when it answers. It is also
        // more than a guest may store in a node.
        let long = [7; 4000];
        let mut write = pin!(xs.write("data/long", &long));
        assert!(poll_once(write.as_mut()).is_pending());
        alice.xen.xenstore_garbage(&message(WRITE, 1, b"OK\0"));
        world.xenstore_daemon(true);
        yield_now().await;
        assert_eq!(errno(write.await), Errno::ENOSPC);
        assert_eq!(xs.read("domid").await.unwrap(), b"1");
    });
}

#[test]
fn an_impossible_transaction_number_is_an_error() {
    for number in [&b""[..], b"\0", b"0\0", b"-1\0", b"+1\0", b"4294967296\0", b"1 \0", b"1\x001\0"]
    {
        let Pair { alice, .. } = Pair::new();
        run(&alice, async {
            let xs = store(&alice);
            alice.xen.xenstore_garbage(&message(TRANSACTION_START, 1, number));
            let refused = xs.transaction().await.map(drop);
            assert_eq!(errno(refused), Errno::EIO, "{number:?}");
            xs.write("data/a", b"1").await.unwrap();
        });
    }
}
