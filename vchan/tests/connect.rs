// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers and clients: who waits for whom, one client after the other, restarts, many at once.

mod common;

use std::cell::Cell;

use common::{PATH, SECOND, SEEN, Stream, bytes, pause, settle, small};
use drivers::shared::Shared;
use embassy_futures::join::{join, join_array};
use embassy_futures::select::select;
use fake_xen::{Guest, Pair, Task};
use vchan::{Client, Server, Sizes};

async fn server(guest: &Guest, peer: &Guest) -> Server<drivers::Services<fake_xen::FakeXen>> {
    Server::new(guest.services.clone(), peer.domid, PATH, small()).unwrap()
}

async fn client(guest: &Guest) -> Client<drivers::Services<fake_xen::FakeXen>> {
    let alice = drivers::DomId::new(1).unwrap();
    Client::new(guest.services.clone(), alice, SEEN).unwrap()
}

async fn greet(stream: &mut Stream, word: &[u8]) {
    stream.write_all(word).await.unwrap();
}

async fn greeted(stream: &mut Stream, word: &[u8]) {
    let mut got = vec![0; word.len()];
    stream.recv(&mut got).await.unwrap();
    assert_eq!(got, word);
}

#[test]
fn a_client_waits_until_the_server_is_there() {
    let pair = Pair::new();
    let serves = async {
        pause(&pair.alice, 5 * SECOND).await;
        let mut server = server(&pair.alice, &pair.bob).await;
        greet(&mut server.accept().await.unwrap(), b"late").await;
    };
    let connects = async {
        greeted(&mut client(&pair.bob).await.connect().await.unwrap(), b"late").await;
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
}

#[test]
fn clients_come_one_after_the_other_and_none_sees_what_another_left() {
    let pair = Pair::new();
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        for round in 0..20 {
            let mut stream = server.accept().await.unwrap();
            greet(&mut stream, &[round; 100]).await;
            // It never reads what the client writes.
            stream.close().await.unwrap();
        }
    };
    let connects = async {
        let mut client = client(&pair.bob).await;
        for round in 0..20 {
            let mut stream = client.connect().await.unwrap();
            stream.write_all(b"left").await.unwrap();
            greeted(&mut stream, &[round; 100]).await;
            assert_eq!(stream.read(&mut [0]).await, Ok(0));
        }
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
    settle(&pair.world, &pair.alice);
    settle(&pair.world, &pair.bob);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}

#[test]
fn a_server_that_has_a_client_can_be_waited_for_again_at_once() {
    let pair = Pair::new();
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        let mut one = server.accept().await.unwrap();
        let mut two = server.accept().await.unwrap();
        join(greet(&mut two, b"two"), greet(&mut one, b"one")).await;
        join(one.close(), two.close()).await.0.unwrap();
    };
    let connects = async {
        let mut client = client(&pair.bob).await;
        let mut one = client.connect().await.unwrap();
        let mut two = client.connect().await.unwrap();
        join(greeted(&mut two, b"two"), greeted(&mut one, b"one")).await;
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
}

#[test]
fn a_client_connects_again_after_the_server_was_started_anew() {
    let pair = Pair::new();
    let serves = async {
        for word in [b"one", b"two"] {
            let mut server = server(&pair.alice, &pair.bob).await;
            let mut stream = server.accept().await.unwrap();
            greet(&mut stream, word).await;
            drop(server);
            stream.close().await.unwrap();
            pause(&pair.alice, 3 * SECOND).await;
        }
    };
    let connects = async {
        let mut client = client(&pair.bob).await;
        for word in [b"one", b"two"] {
            greeted(&mut client.connect().await.unwrap(), word).await;
        }
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
}

#[test]
fn a_wait_for_a_client_can_be_given_up_and_begun_again() {
    let pair = Pair::new();
    let done = Cell::new(false);
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        let mut stream = loop {
            let late = pause(&pair.alice, SECOND / 10);
            if let embassy_futures::select::Either::First(stream) =
                select(server.accept(), late).await
            {
                break stream.unwrap();
            }
        };
        greet(&mut stream, b"hello").await;
        stream.close().await.unwrap();
        done.set(true);
    };
    let connects = async {
        pause(&pair.bob, SECOND).await;
        greeted(&mut client(&pair.bob).await.connect().await.unwrap(), b"hello").await;
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
    assert!(done.get());
}

#[test]
fn a_client_that_comes_while_nobody_waits_is_the_next_one() {
    let pair = Pair::new();
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        select(server.accept(), pause(&pair.alice, SECOND)).await;
        pause(&pair.alice, 3 * SECOND).await;
        greeted(&mut server.accept().await.unwrap(), b"hello").await;
    };
    let connects = async {
        pause(&pair.bob, 2 * SECOND).await;
        let mut stream = client(&pair.bob).await.connect().await.unwrap();
        greet(&mut stream, b"hello").await;
        stream.close().await.unwrap();
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
}

/// Runs the server until it can't go on.
fn run_out(server: &mut Task<'_>) {
    while server.step() {}
}

#[test]
fn the_port_is_published_last_and_neither_node_outlives_the_offer() {
    let pair = Pair::new();
    let node = |name: &str| pair.world.xenstore_read(&format!("{SEEN}/{name}"));
    let accepted = Cell::new(false);
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        let _stream = server.accept().await.unwrap();
        accepted.set(true);
        pause(&pair.alice, SECOND).await;
        assert_eq!([node("ring-ref"), node("event-channel")], [None, None]);
    };
    let seen = Cell::new(0);
    let watches = async {
        while !accepted.get() {
            let nodes = (node("ring-ref"), node("event-channel"));
            assert!(nodes.0.is_some() || nodes.1.is_none(), "the port alone");
            seen.set(seen.get() + u32::from(nodes.1.is_some()));
            if seen.get() == 1 {
                seen.set(2);
                drop(client(&pair.bob).await.connect().await.unwrap());
            }
            pause(&pair.bob, 1).await;
        }
    };
    // The daemon takes its time, so every state of the store is seen.
    pair.alice.xen.xenstore_pace(16);
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, watches)]);
    assert!(seen.get() > 1);
}

#[test]
fn a_client_is_seen_whenever_the_server_looks() {
    let (mut moment, mut moments) = (0, 1);
    while moment <= moments {
        let pair = Pair::new();
        let accepted = Cell::new(false);
        let mut serves = Task::new(&pair.alice.events, async {
            let mut server = server(&pair.alice, &pair.bob).await;
            let _stream = server.accept().await.unwrap();
            accepted.set(true);
        });
        // Until the offer is published, and the server waits for an event.
        let offered = async {
            for _ in 0..1000 {
                run_out(&mut serves);
                pause(&pair.bob, 1000).await;
            }
            assert!(pair.world.xenstore_read(&format!("{SEEN}/event-channel")).is_some());
        };
        pair.world.run([Task::new(&pair.bob.events, offered)]);
        let mut seen = 0;
        let looks = |now| {
            seen = now + 1;
            if now == moment {
                run_out(&mut serves);
            }
        };
        let mut stream = None;
        let connects = async {
            stream = Some(client(&pair.bob).await.connect().await.unwrap());
        };
        pair.bob.xen.interleave(looks, || {
            pair.world.run([Task::new(&pair.bob.events, connects)]);
        });
        // This panics if the server waits for ever.
        pair.world.run([serves]);
        assert!(accepted.get(), "after moment {moment}");
        moments = moments.max(seen);
        moment += 1;
    }
    assert!(moments > 20, "{moments}");
}

#[test]
fn a_client_that_came_wrote_and_left_before_anybody_looked_is_read() {
    let pair = Pair::new();
    let serves = async {
        let mut server = server(&pair.alice, &pair.bob).await;
        pause(&pair.alice, 2 * SECOND).await;
        let mut stream = server.accept().await.unwrap();
        let mut got = [0; 50];
        assert_eq!(stream.read(&mut got).await, Ok(9));
        assert_eq!(&got[..9], b"and leave");
        assert_eq!(stream.read(&mut got).await, Ok(0));
    };
    let connects = async {
        let mut stream = client(&pair.bob).await.connect().await.unwrap();
        stream.write_all(b"and leave").await.unwrap();
        // Without waiting until it is read.
        drop(stream);
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
}

#[test]
fn sixteen_channels_between_two_guests_at_once() {
    let pair = Pair::new();
    let path = |n: usize| format!("data/vchan/{n}");
    let serves = async {
        join_array(std::array::from_fn::<_, 16, _>(|n| {
            let guest = pair.alice.services.clone();
            let peer = pair.bob.domid;
            async move {
                let sizes = Sizes::new(1024 << (n % 5), 4096).unwrap();
                let mut server = Server::new(guest, peer, &path(n), sizes).unwrap();
                let mut stream = server.accept().await.unwrap();
                let (mut total, mut buffer) = (0, vec![0; 3000]);
                while let len @ 1.. = stream.read(&mut buffer).await.unwrap() {
                    stream.write_all(&buffer[..len]).await.unwrap();
                    total += len;
                }
                assert_eq!(total, 20_000 + n);
            }
        }))
        .await;
    };
    let connects = async {
        join_array(std::array::from_fn::<_, 16, _>(|n| {
            let guest = pair.bob.services.clone();
            let peer = pair.alice.domid;
            async move {
                let seen = format!("/local/domain/1/{}", path(n));
                let mut client = Client::new(guest, peer, &seen).unwrap();
                let mut stream = client.connect().await.unwrap();
                let sent = bytes(20_000 + n);
                {
                    let (mut receiver, mut sender) = stream.split();
                    let mut got = vec![0; sent.len()];
                    let reads = embedded_io_async::Read::read_exact(&mut receiver, &mut got);
                    let writes = embedded_io_async::Write::write_all(&mut sender, &sent);
                    let (read, written) = join(reads, writes).await;
                    read.unwrap();
                    written.unwrap();
                    assert_eq!(got, sent);
                }
                stream.close().await.unwrap();
            }
        }))
        .await;
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, connects)]);
    settle(&pair.world, &pair.alice);
    settle(&pair.world, &pair.bob);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}

#[test]
fn the_page_and_the_nodes_are_as_libxenvchan_has_them() {
    let pair = Pair::new();
    let looks = async {
        let sizes = Sizes::new(4096, 8192).unwrap();
        let guest = pair.alice.services.clone();
        let mut server = Server::new(guest, pair.bob.domid, PATH, sizes).unwrap();
        // It stays published.
        select(server.accept(), pause(&pair.alice, SECOND)).await;
        let store = pair.alice.xenstore.clone().unwrap();
        let number = |value: Vec<u8>| String::from_utf8(value).unwrap().parse::<u32>().unwrap();
        let page = number(store.read("data/c/ring-ref").await.unwrap());
        let port = number(store.read("data/c/event-channel").await.unwrap());
        assert_ne!(port, 0);
        let claim = drivers::ClaimedGrant::new(1, page);
        let page = pair.bob.map::<drivers::gntdev::ReadOnly>(&[claim]);
        let mut bytes = [0; 40];
        page.read(0, &mut bytes).unwrap();
        // All indices are 0; the orders; the client is awaited, the server is there and requests
        // events.
        assert_eq!(
            bytes[..24],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 0, 13, 0, 2, 1, 1, 0]
        );
        // Three references, the left ring's first, and no more.
        let refs: Vec<u32> = bytes[24..]
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect();
        assert!(refs[..3].iter().all(|gref| *gref >= 8) && refs[3] == 0, "{refs:?}");
        drop(page);
        let permissions = store.permissions("data/c/ring-ref").await.unwrap();
        let (owner, reader) = (permissions[0], permissions[1]);
        assert!(owner.domid.get() == 1 && !owner.read && reader.domid.get() == 2 && reader.read);
    };
    pair.world.run([Task::new(&pair.alice.events, looks)]);
}
