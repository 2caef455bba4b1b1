// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stream promises its users, between two honest ends.

mod common;

use std::pin::pin;

use common::{PATH, SECOND, Stream, byte, bytes, ends, fill, is_waiting, pause, sent, small};
use drivers::{Call, Errno};
use embassy_futures::join::join;
use embassy_futures::{poll_once, yield_now};
use embedded_io_async::{BufRead, Read, Write};
use fake_xen::{Pair, Task};
use vchan::{Buffered, Client, Error, Server, Sizes};

/// Concurrently writes and reads `total` bytes, in pieces of these sizes.
async fn both_halves(stream: &mut Stream, total: usize, write: usize, read: usize) {
    let (mut receiver, mut sender) = stream.split();
    let writing = async {
        for piece in bytes(total).chunks(write) {
            sender.write_all(piece).await.unwrap();
        }
    };
    let reading = async {
        let (mut buffer, mut got) = (vec![0; read], 0);
        while got < total {
            let len = receiver.read(&mut buffer).await.unwrap();
            assert!(buffer[..len].iter().enumerate().all(|(i, b)| *b == byte(got + i)));
            got += len;
        }
    };
    join(writing, reading).await;
}

/// Sends `total` bytes from Alice to Bob and back.
fn both_ways(sizes: Sizes, total: usize, write: usize, read: usize) {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, sizes);
    let one = both_halves(&mut alice, total, write, read);
    let two = both_halves(&mut bob, total, write, read);
    pair.world.run([Task::new(&pair.alice.events, one), Task::new(&pair.bob.events, two)]);
}

#[test]
fn a_stream_arrives_whole_and_in_order_both_ways_at_once() {
    for (to_server, to_client) in [(1024, 1024), (2048, 2048), (1024, 8192), (8192, 1024)] {
        let sizes = Sizes::new(to_server, to_client).unwrap();
        for (write, read) in [(1, 1), (1000, 3), (3, 1000), (5000, 5000), (1023, 4097)] {
            both_ways(sizes, if write == 1 { 3000 } else { 30_000 }, write, read);
        }
    }
    both_ways(Sizes::default(), 300_000, 100_000, 65_536);
}

#[test]
fn the_largest_rings_work() {
    both_ways(Sizes::new(1 << 20, 1 << 18).unwrap(), 3 << 20, 1 << 20, 1 << 19);
}

#[test]
fn a_server_wipes_what_it_has_read_and_in_the_end_all_of_its_ring() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    let run = async {
        // The next bytes wrap around the ring's end.
        for _ in 0..3 {
            bob.write_all(&bytes(300)).await.unwrap();
            alice.recv(&mut [0; 300]).await.unwrap();
        }
        bob.write_all(&[7; 400]).await.unwrap();
        let mut receiver = alice.receiver();
        let mut seen = receiver.peek(400).await.unwrap();
        seen.wipe(399).unwrap();
        let mut left = [1; 400];
        seen.read(0, &mut left).unwrap();
        assert!(left[..399].iter().all(|byte| *byte == 0) && left[399] == 7);
        assert_eq!(seen.wipe(401).unwrap_err().errno(), Errno::EINVAL);
        receiver.wipe().unwrap();
        receiver.recv(&mut left).await.unwrap();
        assert_eq!(left, [0; 400]);
    };
    pair.world.run([Task::new(&pair.alice.events, run)]);
}

#[test]
fn the_client_of_a_ring_of_pages_cannot_wipe_it() {
    let pair = Pair::new();
    let (_alice, mut bob) = ends(&pair, Sizes::default());
    assert_eq!(bob.receiver().wipe().unwrap_err().errno(), Errno::EACCES);
}

#[test]
fn a_guest_can_be_its_own_peer() {
    let pair = Pair::new();
    let alice = &pair.alice;
    let both = async {
        let guest = alice.services.clone();
        let mut server = Server::new(guest.clone(), alice.domid, PATH, Sizes::default()).unwrap();
        let mut client = Client::new(guest, alice.domid, PATH).unwrap();
        let (served, connected) = join(server.accept(), client.connect()).await;
        let (mut served, mut connected) = (served.unwrap(), connected.unwrap());
        let mut got = [0; 5];
        connected.write_all(b"there").await.unwrap();
        served.recv(&mut got).await.unwrap();
        served.write_all(&got).await.unwrap();
        connected.recv(&mut got).await.unwrap();
        assert_eq!(&got, b"there");
    };
    pair.world.run([Task::new(&alice.events, both)]);
}

#[test]
fn it_is_read_and_written_by_the_traits_of_embedded_io() {
    async fn echo<S: Read + Write>(stream: S) {
        let mut stream = Buffered::new(stream).unwrap();
        loop {
            let bytes = stream.fill_buf().await.unwrap();
            if bytes.is_empty() {
                return;
            }
            let line = bytes.to_vec();
            stream.consume(line.len());
            stream.write_all(&line).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
    let pair = Pair::new();
    let (alice, mut bob) = ends(&pair, small());
    let asks = async {
        for n in 0..50 {
            let (sent, mut got) = (bytes(n), vec![0; n]);
            Write::write_all(&mut bob, &sent).await.unwrap();
            bob.read_exact(&mut got).await.unwrap();
            assert_eq!(got, sent);
        }
        bob.close().await.unwrap();
    };
    pair.world.run([Task::new(&pair.alice.events, echo(alice)), Task::new(&pair.bob.events, asks)]);
}

#[test]
fn a_buffer_lends_its_bytes_until_they_are_consumed() {
    let pair = Pair::new();
    let (mut alice, bob) = ends(&pair, small());
    assert_eq!(alice.sender().try_write(&bytes(10)), Ok(10));
    let mut bob = Buffered::new(bob).unwrap();
    let reads = async {
        assert_eq!(bob.fill_buf().await.unwrap(), bytes(10));
        bob.consume(4);
        assert_eq!(bob.fill_buf().await.unwrap(), &bytes(10)[4..]);
        let mut some = [0; 100];
        assert_eq!(bob.read(&mut some).await, Ok(6));
        assert_eq!(some[..6], bytes(10)[4..]);
        // More than there is.
        bob.consume(usize::MAX);
    };
    pair.world.run([Task::new(&pair.bob.events, reads)]);
    assert!(is_waiting(bob.fill_buf()));
}

#[test]
fn views_put_and_take_bytes_where_they_are() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    let both = async {
        let mut sender = alice.sender();
        for round in 0..5 {
            let mut room = sender.reserve(1000).await.unwrap();
            assert_eq!(room.len(), 2048);
            room.write(500, &bytes(300)).unwrap();
            room.write(0, &[round; 500]).unwrap();
            assert_eq!(room.write(2000, &[0; 49]).unwrap_err().errno(), Errno::EINVAL);
            room.commit(800).unwrap();
            let mut receiver = bob.receiver();
            let seen = receiver.peek(800).await.unwrap();
            let (mut first, mut second) = ([9; 500], [0; 300]);
            assert_eq!(seen.len(), 800);
            seen.read(500, &mut second).unwrap();
            seen.read(0, &mut first).unwrap();
            assert_eq!((first, &second[..]), ([round; 500], &bytes(300)[..]));
            assert_eq!(seen.read(700, &mut [0; 101]).unwrap_err().errno(), Errno::EINVAL);
            // Peeking removes nothing.
            let seen = receiver.peek(1).await.unwrap();
            seen.consume(800).unwrap();
        }
        let room = sender.reserve(0).await.unwrap();
        assert_eq!(room.commit(2049).unwrap_err().errno(), Errno::EINVAL);
        assert_eq!(sender.reserve(2049).await.unwrap_err(), Error::TooLong);
        assert_eq!(bob.receiver().peek(2049).await.unwrap_err(), Error::TooLong);
    };
    pair.world.run([Task::new(&pair.alice.events, both)]);
}

#[test]
fn a_packet_is_whole_or_not_there() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    let total = 200;
    let sends = async {
        for n in 1..=total {
            alice.send(&bytes(n * 10)).await.unwrap();
        }
        assert_eq!(alice.send(&[0; 2049]).await, Err(Error::TooLong));
        alice.send(&[]).await.unwrap();
        alice.send(b"rest").await.unwrap();
        drop(alice);
    };
    let receives = async {
        for n in 1..=total {
            let mut packet = vec![0; n * 10];
            bob.recv(&mut packet).await.unwrap();
            assert_eq!(packet, bytes(n * 10));
        }
        assert_eq!(bob.recv(&mut [0; 2049]).await, Err(Error::TooLong));
        // Fewer than requested, and no more will come; they can still be read.
        assert_eq!(bob.recv(&mut [0; 5]).await, Err(Error::Closed));
        let mut rest = [0; 5];
        assert_eq!(bob.read(&mut rest).await, Ok(4));
        assert_eq!(&rest[..4], b"rest");
    };
    pair.world.run([Task::new(&pair.alice.events, sends), Task::new(&pair.bob.events, receives)]);
}

#[test]
fn a_future_that_is_dropped_loses_no_byte() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    let (mut sent, mut got) = (0, 0);
    let mut buffer = [0; 700];
    // Both are dropped whenever they would wait.
    for round in 0..5000 {
        let piece: Vec<u8> = (sent..sent + 1 + round % 900).map(byte).collect();
        if let core::task::Poll::Ready(len) = poll_once(pin!(alice.write(&piece))) {
            sent += len.unwrap();
        }
        let read = poll_once(pin!(bob.read(&mut buffer)));
        if let core::task::Poll::Ready(len) = read {
            let len = len.unwrap();
            assert!(buffer[..len].iter().enumerate().all(|(i, b)| *b == byte(got + i)));
            got += len;
        }
        pair.alice.events.dispatch();
        pair.bob.events.dispatch();
    }
    assert!(sent > 100_000 && sent - got <= 2048, "{sent} {got}");
}

#[test]
fn a_ping_pong_is_an_event_each_way_and_no_other_hypercall() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, Sizes::default());
    let count = |guest: &fake_xen::Guest| guest.system.counters().hypercalls();
    let mut spent = 0;
    let pings = async {
        let mut before = 0;
        for round in 0..1001 {
            if round == 1 {
                before = count(&pair.alice) + count(&pair.bob);
            }
            alice.write_all(b"x").await.unwrap();
            assert_eq!(alice.read(&mut [0; 16]).await, Ok(1));
        }
        spent = count(&pair.alice) + count(&pair.bob) - before;
    };
    let pongs = async {
        for _ in 0..1001 {
            assert_eq!(bob.read(&mut [0; 16]).await, Ok(1));
            bob.write_all(b"y").await.unwrap();
        }
    };
    pair.world.run([Task::new(&pair.alice.events, pings), Task::new(&pair.bob.events, pongs)]);
    // On metal each end blocks once, too: four in all.
    assert!(spent <= 2 * 1000, "{spent}");
}

#[test]
fn writes_of_a_ring_or_more_are_two_events_for_each_ring() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, Sizes::new(4096, 65_536).unwrap());
    let total = 20 * 65_536;
    let before = sent(&pair.alice) + sent(&pair.bob);
    let writes = async {
        alice.write_all(&bytes(total)).await.unwrap();
    };
    let reads = async {
        let (mut got, mut buffer) = (0, vec![0; 65_536]);
        while got < total {
            got += bob.read(&mut buffer).await.unwrap();
        }
    };
    pair.world.run([Task::new(&pair.alice.events, writes), Task::new(&pair.bob.events, reads)]);
    let events = sent(&pair.alice) + sent(&pair.bob) - before;
    assert!(events <= 2 * 20, "{events}");
}

#[test]
fn nobody_is_rung_who_does_not_wait() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    // Both start with a request.
    assert_eq!(alice.sender().try_write(b"x"), Ok(1));
    let before = sent(&pair.alice) + sent(&pair.bob);
    for _ in 0..100 {
        assert_eq!(alice.sender().try_write(&bytes(1000)), Ok(1000));
        assert_eq!(bob.receiver().try_read(&mut [0; 1000]), Ok(1000));
    }
    assert_eq!(sent(&pair.alice) + sent(&pair.bob), before);
}

/// Runs 1,000 steps of `work` in Bob's guest, and checks that another task of his runs in between.
fn keeps_nobody_from_running(pair: &Pair, work: impl Future<Output = ()>) {
    let mut others = 0;
    let other = async {
        loop {
            others += 1;
            yield_now().await;
        }
    };
    let both = async {
        embassy_futures::select::select(work, other).await;
    };
    pair.world.run([Task::new(&pair.bob.events, both)]);
    assert!(others >= 900, "{others}");
}

#[test]
fn a_peer_that_is_always_ahead_keeps_nobody_from_running() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    // Bob's reader and another task share his processor; Alice fills the ring at every chance.
    keeps_nobody_from_running(&pair, async {
        for _ in 0..1000 {
            // As if on another processor.
            fill(&mut alice);
            bob.read(&mut [0; 2048]).await.unwrap();
        }
    });
}

#[test]
fn a_peer_that_always_makes_room_keeps_nobody_from_running() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    keeps_nobody_from_running(&pair, async {
        for _ in 0..1000 {
            assert!(bob.write(&[7; 2048]).await.unwrap() > 0);
            while alice.receiver().try_read(&mut [0; 2048]).unwrap() > 0 {}
        }
    });
}

#[test]
fn a_closing_side_waits_until_its_data_is_taken() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    fill(&mut alice);
    let mut took = 0;
    let closes = async {
        alice.close().await.unwrap();
        took = pair.world.now();
    };
    let reads = async {
        pause(&pair.bob, 5 * SECOND).await;
        let mut got = 0;
        while let len @ 1.. = bob.read(&mut [0; 100]).await.unwrap() {
            got += len;
        }
        assert_eq!(got, 2048);
    };
    pair.world.run([Task::new(&pair.alice.events, closes), Task::new(&pair.bob.events, reads)]);
    assert!(took >= 5 * SECOND);
}

#[test]
fn it_waits_no_longer_than_ten_seconds() {
    let pair = Pair::new();
    let (mut alice, bob) = ends(&pair, small());
    fill(&mut alice);
    let began = pair.world.now();
    let closes = async {
        assert_eq!(alice.close().await.unwrap_err().errno(), Errno::ETIMEDOUT);
    };
    pair.world.run([Task::new(&pair.alice.events, closes)]);
    assert!((10 * SECOND..11 * SECOND).contains(&(pair.world.now() - began)));
    drop(bob);
}

#[test]
fn a_peer_that_closes_first_ends_the_wait() {
    let pair = Pair::new();
    let (mut alice, bob) = ends(&pair, small());
    fill(&mut alice);
    let closes = async {
        assert_eq!(alice.close().await, Err(Error::Closed));
    };
    let leaves = async {
        pause(&pair.bob, SECOND).await;
        drop(bob);
    };
    pair.world.run([Task::new(&pair.alice.events, closes), Task::new(&pair.bob.events, leaves)]);
    assert!(pair.world.now() < 3 * SECOND);
}

#[test]
fn a_destroyed_peer_is_the_end_within_a_second_after_what_it_had_written() {
    for server_dies in [true, false] {
        let pair = Pair::new();
        let (alice, bob) = ends(&pair, small());
        let (mut dies, mut lives, dead, guest) =
            if server_dies { (alice, bob, 1, &pair.bob) } else { (bob, alice, 2, &pair.alice) };
        assert_eq!(dies.sender().try_write(&bytes(7)), Ok(7));
        let mut at = 0;
        let reads = async {
            assert_eq!(lives.read(&mut [0; 100]).await, Ok(7));
            assert_eq!(lives.read(&mut [0; 100]).await, Ok(0));
            at = pair.world.now();
            assert_eq!(lives.write(b"x").await, Err(Error::Closed));
            // And it stays that way.
            assert_eq!(lives.read(&mut [0; 100]).await, Ok(0));
        };
        let mut died = 0;
        let kills = async {
            pause(guest, 3 * SECOND / 2).await;
            died = pair.world.now();
            pair.world.destroy(dead);
        };
        pair.world.run([Task::new(&guest.events, async {
            join(reads, kills).await;
        })]);
        assert!(at >= died && at - died < SECOND, "{}", at - died);
        drop((dies, lives));
        guest.gntalloc.reap(u32::MAX);
    }
}

#[test]
fn a_crashed_peer_that_xen_keeps_is_the_end_at_once() {
    let pair = Pair::new();
    let (mut alice, mut bob) = ends(&pair, small());
    assert_eq!(alice.sender().try_write(&bytes(7)), Ok(7));
    let reads = async {
        assert_eq!(bob.read(&mut [0; 100]).await, Ok(7));
        assert_eq!(bob.read(&mut [0; 100]).await, Ok(0));
    };
    let crashes = async {
        pause(&pair.alice, 1000).await;
        pair.alice.last_words();
    };
    let before = pair.world.now();
    pair.world.run([Task::new(&pair.alice.events, crashes), Task::new(&pair.bob.events, reads)]);
    assert!(pair.world.now() - before < SECOND / 100);
}

#[test]
fn waiting_asks_xen_three_times_a_second_and_no_more() {
    let pair = Pair::new();
    let (_alice, mut bob) = ends(&pair, small());
    let asked = || pair.bob.system.counters().calls(Call::EvtchnStatus);
    let before = asked();
    let waits = async {
        let late = pause(&pair.bob, 10 * SECOND);
        embassy_futures::select::select(bob.read(&mut [0]), late).await;
    };
    pair.world.run([Task::new(&pair.bob.events, waits)]);
    assert!((20..=30).contains(&(asked() - before)), "{}", asked() - before);
}
