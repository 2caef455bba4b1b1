// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile peer ends its own channel and nothing else: one error, nothing left behind, nobody
//! waiting for ever.

mod common;

use common::{
    FalseServer, PATH, SECOND, SEEN, assert_clean, bytes, ends, false_server, fill, pause,
    publish_and_connect, rogue, settle, small,
};
use drivers::events::Port;
use drivers::shared::SharedMut;
use drivers::{Access, Call, Errno, Pages};
use embassy_futures::join::join;
use embassy_futures::select::select;
use fake_xen::{Config, FakeXen, Pair, Task};
use vchan::{Client, Error, Server, Sizes};

/// A stream of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// What a hostile server writes into its page.
type Harm = fn(&FalseServer);

fn is_violation<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::PeerViolation(_)))
}

#[test]
fn an_index_that_cannot_be_is_a_violation_for_ever_and_the_other_channels_are_served() {
    for nonsense in [2049, 1 << 31, u32::MAX] {
        let pair = Pair::new();
        let (mut alice, rogue) = rogue(&pair, small());
        // The index of what Alice reads, and of how much Bob has read from her.
        for (index, at) in [("prod", 4), ("cons", 8)] {
            rogue.page.store_u32(at, nonsense).unwrap();
            let run = async {
                if index == "prod" {
                    assert!(is_violation(&alice.read(&mut [0]).await), "{index} {nonsense}");
                } else {
                    assert!(is_violation(&alice.write(b"x").await), "{index} {nonsense}");
                }
                rogue.page.store_u32(at, 0).unwrap();
                assert!(is_violation(&alice.read(&mut [0]).await));
                assert!(is_violation(&alice.write(b"x").await));
                assert!(is_violation(&alice.receiver().try_read(&mut [0])));
                assert!(is_violation(&alice.sender().reserve(1).await));
            };
            pair.world.run([Task::new(&pair.alice.events, run)]);
        }
        let (mut other, mut bob) = ends(&pair, small());
        assert_eq!(other.sender().try_write(b"fine"), Ok(4));
        assert_eq!(bob.receiver().try_read(&mut [0; 9]), Ok(4));
        drop((alice, rogue, other, bob));
        assert_clean(&pair);
    }
}

#[test]
fn a_peer_that_writes_at_random_does_no_harm_beyond_its_channel() {
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    for seed in 1..=8 {
        let pair = Pair::new();
        let (mut alice, rogue) = rogue(&pair, small());
        let mut random = Random(seed);
        let harm = async {
            for round in 0..rounds {
                let (at, value) = (random.next() as usize % 6, random.next() as u32);
                // Small numbers often, since they are not refused at once.
                let value = if value & 1 == 0 { value % 4096 } else { value };
                match at {
                    5 => rogue.page.write(random.next() as usize % 4096, &[value as u8]).unwrap(),
                    _ => rogue.page.store_u32(4 * at, value).unwrap(),
                }
                rogue.port.send().unwrap();
                if round % 3 == 0 {
                    pause(&pair.bob, 1000).await;
                }
            }
        };
        let serves = async {
            let mut buffer = [0; 3000];
            for _ in 0..rounds {
                let patience = pause(&pair.alice, 100_000);
                let uses = async {
                    // Any result will do, even a wait, as long as others can end it.
                    let _ = alice.read(&mut buffer).await;
                    let _ = alice.write(&bytes(500)).await;
                    let _ = alice.recv(&mut buffer[..40]).await;
                    let _ = alice.send(&bytes(100)).await;
                };
                select(uses, patience).await;
            }
        };
        pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, harm)]);
        drop((alice, rogue));
        assert_clean(&pair);
    }
}

#[test]
fn a_flood_of_events_wakes_but_does_not_hold_up() {
    let pair = Pair::new();
    let (mut alice, rogue) = rogue(&pair, small());
    let mut others = 0;
    let flood = async {
        for _ in 0..10_000 {
            rogue.port.send().unwrap();
            embassy_futures::yield_now().await;
        }
    };
    let reads = async {
        let other = async {
            for _ in 0..5000 {
                others += 1;
                embassy_futures::yield_now().await;
            }
        };
        select(alice.read(&mut [0]), other).await;
    };
    pair.world.run([Task::new(&pair.alice.events, reads), Task::new(&pair.bob.events, flood)]);
    assert_eq!(others, 5000);
}

#[test]
fn a_peer_that_never_reads_costs_ten_seconds_at_the_end_and_no_memory() {
    let pair = Pair::new();
    let (mut alice, rogue) = rogue(&pair, small());
    assert_eq!(fill(&mut alice), 2048);
    let frames = pair.alice.system.frames();
    let writes = async {
        select(alice.write(b"x"), pause(&pair.alice, 100 * SECOND)).await;
        assert_eq!(pair.alice.system.frames(), frames);
        assert_eq!(alice.close().await.unwrap_err().errno(), Errno::ETIMEDOUT);
    };
    pair.world.run([Task::new(&pair.alice.events, writes)]);
    // Pages that the peer maps stay parked until it unmaps them.
    assert_eq!(pair.alice.gntalloc.parked(), 1);
    drop(rogue);
    assert_clean(&pair);
}

#[test]
fn orders_that_cannot_be_are_refused_before_anything_of_a_ring_is_mapped() {
    for orders in [[0, 0], [9, 12], [12, 9], [21, 12], [12, 21], [10, 10], [11, 11], [20, 10]] {
        let pair = Pair::new();
        let [left, right]: [u16; 2] = orders;
        let (server, connected) = false_server(&pair, |server| {
            server.page.write(16, &left.to_le_bytes()).unwrap();
            server.page.write(18, &right.to_le_bytes()).unwrap();
        });
        assert!(is_violation(&connected), "{orders:?}");
        drop(server);
        assert_clean(&pair);
    }
}

#[test]
fn states_and_indices_that_cannot_be_are_refused() {
    let wrong: [(&str, Harm); 4] = [
        ("a ring with more than it holds", |server| {
            server.page.store_u32(12, 2049).unwrap();
        }),
        ("a ring that was read before it was written", |server| {
            server.page.store_u32(0, 1).unwrap();
        }),
        ("a server that is neither there nor gone", |server| {
            server.page.write(21, &[7]).unwrap();
        }),
        ("a client likewise", |server| {
            server.page.write(20, &[3]).unwrap();
        }),
    ];
    for (what, write) in wrong {
        let pair = Pair::new();
        let (server, connected) = false_server(&pair, |server| {
            server.page.write(16, &[10, 0, 11, 0]).unwrap();
            write(server);
        });
        assert!(is_violation(&connected), "{what}: {connected:?}");
        drop(server);
        assert_clean(&pair);
    }
}

#[test]
fn a_server_that_says_it_is_gone_is_waited_for() {
    let pair = Pair::new();
    let (alice, bob) = (&pair.alice, &pair.bob);
    let page = alice.gntalloc.open().alloc(bob.domid, Pages(1), Access::ReadWrite).unwrap();
    let port = alice.events.alloc_unbound(bob.domid).unwrap();
    page.write(16, &[10, 0, 11, 0, 2, 0, 1, 0]).unwrap();
    let serves = async {
        let store = alice.xenstore.clone().unwrap();
        let reader = drivers::xenstore::Reader::Domain(bob.domid);
        let (gref, port) = (page.grefs().next().unwrap().0, port.number().0);
        let nodes = [("ring-ref", gref), ("event-channel", port)].map(async |(name, number)| {
            let value = number.to_string();
            store.publish(&format!("{PATH}/{name}"), value.as_bytes(), reader).await.unwrap()
        });
        let _nodes = embassy_futures::join::join_array(nodes).await;
        pause(alice, 3 * SECOND).await;
        page.write(21, &[1]).unwrap();
        pause(alice, 3 * SECOND).await;
    };
    let connects = async {
        let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
        let began = bob.system.now();
        client.connect().await.unwrap();
        let waited = bob.system.now() - began;
        assert!((2 * SECOND..5 * SECOND).contains(&waited), "{waited} ns");
    };
    pair.world.run([Task::new(&alice.events, serves), Task::new(&bob.events, connects)]);
    drop((page, port));
    assert_clean(&pair);
}

#[test]
fn a_server_that_is_replaced_while_a_client_looks_is_not_blamed() {
    let (mut moment, mut moments, mut in_time) = (0, 1, None);
    while moment <= moments {
        let pair = Pair::new();
        let (alice, bob) = (&pair.alice, &pair.bob);
        // The first page has no orders; the second is as it should be.
        let [wrong, right] = [[0; 8], [10, 0, 11, 0, 2, 1, 1, 0]].map(|words| {
            let page = alice.gntalloc.open().alloc(bob.domid, Pages(1), Access::ReadWrite).unwrap();
            page.write(16, &words).unwrap();
            (page, alice.events.alloc_unbound(bob.domid).unwrap())
        });
        let publish = |(page, port): &(drivers::gntalloc::Export<_>, Port<FakeXen>)| {
            let gref = page.grefs().next().unwrap().0;
            for (name, number) in [("ring-ref", gref), ("event-channel", port.number().0)] {
                let value = number.to_string();
                pair.world.xenstore_publish(1, &format!("{PATH}/{name}"), value.as_bytes());
            }
        };
        publish(&wrong);
        let (mut seen, mut had_begun) = (0, false);
        let replaced = |now| {
            seen = now + 1;
            if now == moment {
                had_begun = bob.system.counters().calls(Call::EvtchnBindInterdomain) > 0;
                publish(&right);
            }
        };
        let mut connected = None;
        let connects = async {
            let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
            connected = Some(client.connect().await.map(drop));
        };
        bob.xen.interleave(replaced, || pair.world.run([Task::new(&bob.events, connects)]));
        let connected = connected.unwrap();
        assert!(connected.is_ok() || is_violation(&connected), "{connected:?}");
        if had_begun && in_time.is_none() {
            // At the first moment after the client has begun, and long before it looks again.
            in_time = Some(connected.is_ok());
        }
        moments = moments.max(seen);
        moment += 1;
    }
    assert_eq!(in_time, Some(true), "it blames a server that has gone");
}

#[test]
fn references_that_are_nobodys_are_refused_with_what_xen_says() {
    for wrong in [0, 7, 5000, u32::MAX] {
        let pair = Pair::new();
        // The first is good, the second is not.
        let (server, connected) = false_server(&pair, |server| {
            let good = server.page.grefs().next().unwrap();
            server.page.store_u32(24, good.0).unwrap();
            server.page.store_u32(28, wrong).unwrap();
        });
        assert_eq!(connected.unwrap_err().errno(), Errno::EINVAL, "{wrong}");
        drop(server);
        assert_clean(&pair);
    }
}

#[test]
fn a_page_that_is_nobodys_is_refused_while_the_port_is_there() {
    let pair = Pair::new();
    let port = pair.alice.events.alloc_unbound(pair.bob.domid).unwrap();
    let number = port.number().0.to_string();
    let connected = publish_and_connect(&pair, "4000", &number);
    assert_eq!(connected.unwrap_err().errno(), Errno::EINVAL);
    for (gref, port) in [("x", number.as_str()), ("0", &number), ("8", "-1"), ("8", "0"), ("", "1")]
    {
        assert!(is_violation(&publish_and_connect(&pair, gref, port)), "{gref:?} {port:?}");
    }
    drop(port);
    assert_clean(&pair);
}

#[test]
fn a_client_state_that_cannot_be_is_a_violation_and_the_next_client_is_served() {
    let pair = Pair::new();
    let (alice, bob) = (&pair.alice, &pair.bob);
    let serves = async {
        let mut server = Server::new(alice.services.clone(), bob.domid, PATH, small()).unwrap();
        assert!(is_violation(&server.accept().await));
        let mut stream = server.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.close().await.unwrap();
    };
    let comes = async {
        let store = bob.xenstore.clone().unwrap();
        pause(bob, SECOND).await;
        let number = |value: Vec<u8>| String::from_utf8(value).unwrap().parse::<u32>().unwrap();
        let port = number(store.read(&format!("{SEEN}/event-channel")).await.unwrap());
        let page = number(store.read(&format!("{SEEN}/ring-ref")).await.unwrap());
        let port = bob.events.bind_interdomain(alice.domid, drivers::PortNumber(port)).unwrap();
        let page = bob.map::<drivers::gntdev::ReadWrite>(&[drivers::ClaimedGrant::new(1, page)]);
        page.write(20, &[99]).unwrap();
        port.send().unwrap();
        pause(bob, SECOND).await;
        drop((page, port));
        let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
        let mut stream = client.connect().await.unwrap();
        let mut got = [0; 5];
        stream.recv(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    };
    pair.world.run([Task::new(&alice.events, serves), Task::new(&bob.events, comes)]);
    assert_clean(&pair);
}

#[test]
fn a_server_that_vanishes_at_any_moment_of_a_connect_leaves_nothing() {
    let (mut moment, mut moments) = (0, 1);
    while moment <= moments {
        let pair = Pair::new();
        let (alice, bob) = (&pair.alice, &pair.bob);
        let mut server = None;
        let serves = async {
            let made = Server::new(alice.services.clone(), bob.domid, PATH, Sizes::default());
            let server = server.insert(made.unwrap());
            select(server.accept(), pause(alice, SECOND)).await;
        };
        pair.world.run([Task::new(&alice.events, serves)]);
        let mut connected = None;
        let connects = async {
            let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
            let late = pause(bob, 5 * SECOND);
            if let embassy_futures::select::Either::First(done) =
                select(client.connect(), late).await
            {
                connected = Some(done);
            }
        };
        let mut seen = 0;
        let vanishes = |now| {
            seen = now + 1;
            if now == moment {
                pair.world.destroy(1);
            }
        };
        bob.xen.interleave(vanishes, || {
            pair.world.run([Task::new(&bob.events, connects)]);
        });
        moments = moments.max(seen);
        match connected {
            Some(Ok(mut stream)) => {
                // It had just connected, so it ends like any other.
                let reads = async { assert_eq!(stream.read(&mut [0]).await, Ok(0)) };
                if moment < seen {
                    pair.world.run([Task::new(&bob.events, reads)]);
                }
            }
            Some(Err(error)) => assert_ne!(error.errno(), Errno::EIO, "{error}"),
            // It waits for a server that may yet come.
            None => {}
        }
        drop(server);
        settle(&pair.world, bob);
        bob.assert_clean();
        moment += 1;
    }
    assert!(moments > 20, "{moments}");
}

#[test]
fn paths_and_memory_that_do_not_do_are_errors_that_leave_nothing() {
    let small_guest = Config { pages: 12, ..Config::default() };
    let pair = Pair::of(small_guest, Config::default());
    // The path itself is not too long, but it is with a node's name appended.
    let long = format!("data/{}", "x".repeat(2035));
    let run = async {
        for path in ["", long.as_str(), "a\0b"] {
            let guest = pair.alice.services.clone();
            let mut server = Server::new(guest, pair.bob.domid, path, small()).unwrap();
            let errno = server.accept().await.unwrap_err().errno();
            assert!([Errno::EINVAL, Errno::E2BIG].contains(&errno), "{path:?} {errno}");
            if path.is_empty() {
                // "/event-channel" is a valid path.
                continue;
            }
            let guest = pair.alice.services.clone();
            let mut client = Client::new(guest, pair.bob.domid, path).unwrap();
            let errno = client.connect().await.unwrap_err().errno();
            assert!([Errno::EINVAL, Errno::E2BIG].contains(&errno), "{path:?} {errno}");
        }
        // More pages than there are.
        let guest = pair.alice.services.clone();
        let large = Server::new(guest.clone(), pair.bob.domid, PATH, Sizes::default());
        assert_eq!(large.unwrap().accept().await.unwrap_err().errno(), Errno::ENOMEM);
        let mut server = Server::new(guest, pair.bob.domid, PATH, small()).unwrap();
        select(server.accept(), pause(&pair.alice, SECOND)).await;
    };
    pair.world.run([Task::new(&pair.alice.events, run)]);
    assert_clean(&pair);
    // Nothing is left in xenstore either.
    let looks = async {
        let store = pair.alice.xenstore.clone().unwrap();
        let left = store.read(PATH).await;
        assert!(left.is_err(), "{left:?}");
    };
    pair.world.run([Task::new(&pair.alice.events, looks)]);
}

#[test]
fn a_server_of_two_channels_goes_on_when_one_peer_breaks_the_protocol() {
    let pair = Pair::new();
    let (mut bad, rogue) = rogue(&pair, small());
    let (mut good, mut bob) = ends(&pair, small());
    let serves = async {
        rogue.page.store_u32(4, 77_777).unwrap();
        let breaks = async { assert!(is_violation(&bad.read(&mut [0]).await)) };
        let goes_on = async {
            good.write_all(&bytes(10_000)).await.unwrap();
        };
        join(breaks, goes_on).await;
    };
    let reads = async {
        let mut got = vec![0; 10_000];
        embedded_io_async::Read::read_exact(&mut bob, &mut got).await.unwrap();
        assert_eq!(got, bytes(10_000));
    };
    pair.world.run([Task::new(&pair.alice.events, serves), Task::new(&pair.bob.events, reads)]);
}
