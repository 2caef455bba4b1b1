// SPDX-License-Identifier: MIT OR Apache-2.0
//! A test for each label of `vchan.tla`: the other end acts between any two accesses of the step
//! and around it, and the test fails without the step.
//!
//! Alice is the server and writes into the ring of 2,048 bytes, and Bob reads.

mod common;

use common::{Stream, bytes, ends, fill, is_waiting, sent, settle, small};
use drivers::shared::Shared;
use fake_xen::{Pair, Task};
use vchan::Error;

const ROOM: usize = 2048;

/// Bits of the notify bytes in the server's page: `cli_notify`, for the server's requests, and
/// `srv_notify`, for the client's.
const ASK_WRITE: u8 = 1;
const ASK_READ: u8 = 2;

/// The page's notify bytes: the server's requests, then the client's.
fn asked(pair: &Pair) -> (u8, u8) {
    // Bob maps it once more.
    let mut gref = None;
    pair.alice.gntalloc.for_each(|page| gref = gref.or(Some(page.gref)));
    let claim = pair.alice.domid.grant(gref.unwrap());
    let page = pair.bob.map::<drivers::gntdev::ReadOnly>(&[claim]);
    let mut notify = [0; 2];
    page.read(22, &mut notify).unwrap();
    notify.into()
}

/// The end whose moments are observed.
#[derive(Clone, Copy, PartialEq)]
enum Watched {
    Alice,
    Bob,
}

/// Runs one end's future once per moment; in each run the other end acts once, at that moment, or
/// at the latest when the future waits. The future must then finish without anything else.
fn whenever<'p, F: Future<Output = ()>>(
    watched: Watched,
    scene: impl Fn(&'p Pair) -> (Stream, Stream),
    pair: impl Fn() -> &'p Pair,
    own: impl Fn(Stream) -> F,
    act: impl Fn(&mut Option<Stream>),
) {
    let (mut moment, mut moments) = (0, 1);
    while moment <= moments {
        let pair = pair();
        let (alice, bob) = scene(pair);
        let (guest, mine, other) = match watched {
            Watched::Alice => (&pair.alice, alice, bob),
            Watched::Bob => (&pair.bob, bob, alice),
        };
        let mut task = Task::new(&guest.events, own(mine));
        let mut other = Some(other);
        let mut seen = 0;
        let at = |now| {
            seen = now + 1;
            if now == moment {
                act(&mut other);
            }
        };
        guest.xen.interleave(at, || while task.step() {});
        if seen <= moment {
            act(&mut other);
        }
        moments = moments.max(seen);
        while task.step() {}
        assert!(task.is_done(), "it waits for ever after moment {moment}");
        moment += 1;
    }
}

/// A pair that lives as long as the test process.
fn pair() -> &'static Pair {
    Box::leak(Box::new(Pair::new()))
}

fn open(pair: &Pair) -> (Stream, Stream) {
    ends(pair, small())
}

fn full(pair: &Pair) -> (Stream, Stream) {
    let (mut alice, bob) = open(pair);
    assert_eq!(fill(&mut alice), ROOM);
    (alice, bob)
}

fn taken(stream: &mut Stream, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    let len = stream.receiver().try_read(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn sender_ready_a_receiver_that_has_closed_gets_nothing() {
    let pair = Pair::new();
    let (mut alice, bob) = open(&pair);
    drop(bob);
    assert_eq!(alice.sender().try_write(b"x"), Err(Error::Closed));
}

#[test]
fn sender_write_shows_no_room_that_is_not_there() {
    let writes = |mut alice: Stream| async move {
        // Whether the act made room or not.
        let len = alice.write(&[0xEE; ROOM]).await.unwrap();
        assert_eq!(len, 7, "bytes that were not read are written over");
    };
    whenever(Watched::Alice, full, pair, writes, |bob| {
        assert_eq!(taken(bob.as_mut().unwrap(), 7), bytes(7));
    });
}

#[test]
fn sender_request_notify_is_made_when_there_is_no_room_and_not_else() {
    let pair = Pair::new();
    let (mut alice, _bob) = open(&pair);
    assert_eq!(alice.sender().try_write(&bytes(ROOM - 1)), Ok(ROOM - 1));
    assert!(!is_waiting(alice.write(b"x")));
    assert_eq!(asked(&pair).0 & ASK_READ, 0);
    assert!(is_waiting(alice.write(b"x")));
    assert_eq!(asked(&pair).0 & ASK_READ, ASK_READ);
}

#[test]
fn sender_recheck_len_sees_room_that_was_made_before_the_request() {
    let writes = |mut alice: Stream| async move { alice.write_all(b"x").await.unwrap() };
    whenever(Watched::Alice, full, pair, writes, |bob| {
        assert_eq!(taken(bob.as_mut().unwrap(), ROOM).len(), ROOM);
    });
}

#[test]
fn sender_write_data_is_seen_whole_or_not() {
    let writes = |mut alice: Stream| async move { alice.write_all(&bytes(100)).await.unwrap() };
    whenever(Watched::Alice, open, pair, writes, |bob| {
        let seen = taken(bob.as_mut().unwrap(), ROOM);
        assert!(seen.is_empty() || seen == bytes(100));
    });
}

#[test]
fn sender_check_notify_data_clears_the_request_and_sender_notify_data_is_one_event() {
    let pair = Pair::new();
    let (mut alice, mut bob) = open(&pair);
    assert!(is_waiting(bob.read(&mut [0])));
    assert_eq!(asked(&pair).1 & ASK_WRITE, ASK_WRITE);
    let before = sent(&pair.alice);
    for n in 1..=3 {
        assert_eq!(alice.sender().try_write(&[n]), Ok(1));
        assert_eq!(asked(&pair).1 & ASK_WRITE, 0);
    }
    assert_eq!(sent(&pair.alice) - before, 1);
    assert!(!is_waiting(bob.read(&mut [0])));
}

#[test]
fn sender_blocked_ends_with_room() {
    // One byte of it, at any moment.
    let writes = |mut alice: Stream| async move { alice.write_all(b"x").await.unwrap() };
    whenever(Watched::Alice, full, pair, writes, |bob| {
        assert_eq!(taken(bob.as_mut().unwrap(), 1), bytes(1));
    });
}

#[test]
fn sender_check_recv_live_ends_a_wait_for_a_receiver_that_closes() {
    let writes = |mut alice: Stream| async move {
        assert_eq!(alice.write(b"x").await, Err(Error::Closed));
    };
    whenever(Watched::Alice, full, pair, writes, |bob| drop(bob.take()));
}

#[test]
fn recv_reading_shows_no_bytes_that_are_not_there() {
    let reads = |mut bob: Stream| async move {
        let mut got = [0; 100];
        let len = bob.read(&mut got).await.unwrap();
        assert_eq!(got[..len], bytes(3));
    };
    whenever(Watched::Bob, open, pair, reads, |alice| {
        assert_eq!(alice.as_mut().unwrap().sender().try_write(&bytes(3)), Ok(3));
    });
}

#[test]
fn recv_got_len_asks_only_if_there_is_nothing() {
    let pair = Pair::new();
    let (mut alice, mut bob) = open(&pair);
    // Clears the request that both start with.
    assert_eq!(alice.sender().try_write(&bytes(10)), Ok(10));
    // The C library would ask here, since its buffer is not full.
    assert!(!is_waiting(bob.read(&mut [0; 100])));
    assert_eq!(asked(&pair).1 & ASK_WRITE, 0);
    assert!(is_waiting(bob.read(&mut [0; 100])));
    assert_eq!(asked(&pair).1 & ASK_WRITE, ASK_WRITE);
}

#[test]
fn recv_recheck_len_sees_bytes_that_were_written_before_the_request() {
    let reads = |mut bob: Stream| async move { assert_eq!(bob.read(&mut [0]).await, Ok(1)) };
    whenever(Watched::Bob, open, pair, reads, |alice| {
        assert_eq!(alice.as_mut().unwrap().sender().try_write(b"x"), Ok(1));
    });
}

#[test]
fn recv_read_data_gives_no_room_back_that_is_still_read() {
    let reads = |mut bob: Stream| async move {
        let mut got = vec![0; ROOM];
        assert_eq!(bob.read(&mut got).await, Ok(ROOM));
        assert_eq!(got, bytes(ROOM));
    };
    whenever(Watched::Bob, full, pair, reads, |alice| {
        // Or Bob has read all, and closed.
        let _ = alice.as_mut().unwrap().sender().try_write(&[0xEE; ROOM]);
    });
}

#[test]
fn recv_check_notify_read_clears_the_request_and_recv_notify_read_is_one_event() {
    let pair = Pair::new();
    let (mut alice, mut bob) = full(&pair);
    assert!(is_waiting(alice.write(b"x")));
    assert_eq!(asked(&pair).0 & ASK_READ, ASK_READ);
    let before = sent(&pair.bob);
    for _ in 0..3 {
        assert_eq!(taken(&mut bob, 5).len(), 5);
        assert_eq!(asked(&pair).0 & ASK_READ, 0);
    }
    assert_eq!(sent(&pair.bob) - before, 1);
}

#[test]
fn recv_final_check_finds_what_was_written_right_before_the_close() {
    let reads = |mut bob: Stream| async move {
        let mut got = [0; 100];
        assert_eq!(bob.read(&mut got).await, Ok(3), "data was lost");
        assert_eq!(got[..3], bytes(3));
        assert_eq!(bob.read(&mut got).await, Ok(0));
    };
    whenever(Watched::Bob, open, pair, reads, |alice| {
        let mut alice = alice.take().unwrap();
        assert_eq!(alice.sender().try_write(&bytes(3)), Ok(3));
    });
}

#[test]
fn recv_final_check_is_made_by_a_read_that_does_not_wait_too() {
    let reads = |mut bob: Stream| async move {
        let mut got = [0; 100];
        let len = match bob.receiver().try_read(&mut got) {
            Ok(0) => bob.read(&mut got).await.unwrap(),
            read => read.expect("data was lost"),
        };
        assert_eq!(got[..len], bytes(3));
        assert_eq!(bob.receiver().try_read(&mut got), Err(Error::Closed));
    };
    whenever(Watched::Bob, open, pair, reads, |alice| {
        if let Some(mut alice) = alice.take() {
            assert_eq!(alice.sender().try_write(&bytes(3)), Ok(3));
        }
    });
}

#[test]
fn both_requests_of_one_end_stand_side_by_side() {
    let pair = Pair::new();
    let (mut alice, mut bob) = full(&pair);
    assert_eq!(taken(&mut bob, ROOM).len(), ROOM);
    assert_eq!(fill(&mut alice), ROOM);
    for write_first in [true, false] {
        let (mut receiver, mut sender) = alice.split();
        let mut byte = [0];
        if write_first {
            assert!(is_waiting(sender.write(b"x")));
        }
        assert!(is_waiting(receiver.read(&mut byte)));
        assert!(is_waiting(sender.write(b"x")));
        assert_eq!(asked(&pair).0, ASK_WRITE | ASK_READ, "{write_first}");
    }
}

#[test]
fn a_close_that_waits_sees_what_was_read_right_before_the_peer_closed() {
    let with_three = |pair: &'static Pair| {
        let (mut alice, bob) = open(pair);
        assert_eq!(alice.sender().try_write(&bytes(3)), Ok(3));
        (alice, bob)
    };
    let closes = |alice: Stream| async move { assert_eq!(alice.close().await, Ok(())) };
    whenever(Watched::Alice, with_three, pair, closes, |bob| {
        if let Some(mut bob) = bob.take() {
            assert_eq!(taken(&mut bob, 100), bytes(3));
        }
    });
}

#[test]
fn recv_await_data_ends_when_the_sender_closes() {
    let reads = |mut bob: Stream| async move { assert_eq!(bob.read(&mut [0]).await, Ok(0)) };
    whenever(Watched::Bob, open, pair, reads, |alice| drop(alice.take()));
}

#[test]
fn packets_wait_for_all_their_room_and_all_their_bytes() {
    let sends = |mut alice: Stream| async move { alice.send(&bytes(ROOM - 5)).await.unwrap() };
    let with_ten = |pair: &'static Pair| {
        let (mut alice, bob) = open(pair);
        assert_eq!(alice.sender().try_write(&bytes(10)), Ok(10));
        (alice, bob)
    };
    whenever(Watched::Alice, with_ten, pair, sends, |bob| {
        let bob = bob.as_mut().unwrap();
        assert_eq!(taken(bob, 10), bytes(10));
        assert!([0, ROOM - 5].contains(&taken(bob, ROOM).len()), "a part of a packet");
    });
    let receives = |mut bob: Stream| async move {
        let mut got = [0; 20];
        bob.recv(&mut got).await.unwrap();
        assert_eq!(got[..10], bytes(10));
    };
    whenever(Watched::Bob, with_ten, pair, receives, |alice| {
        assert_eq!(alice.as_mut().unwrap().sender().try_write(&bytes(10)), Ok(10));
    });
}

#[test]
fn nothing_is_left_of_any_of_it() {
    let pair = Pair::new();
    let (alice, bob) = full(&pair);
    drop((alice, bob));
    settle(&pair.world, &pair.alice);
    settle(&pair.world, &pair.bob);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}
