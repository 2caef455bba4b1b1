// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two guests with a channel between them.
#![allow(dead_code, reason = "every test file uses another part of it")]

use std::pin::pin;

use drivers::gntdev::{Mapping, ReadWrite};
use drivers::shared::SharedMut;
use drivers::{Access, Call, ClaimedGrant, Pages};
use embassy_futures::poll_once;
use fake_xen::{FakeXen, Guest, Pair, Task, World};
use vchan::{Client, Error, GuestStream, Server, Sizes};

pub type Stream = GuestStream<FakeXen>;

/// One second of the guests' clock, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// The server's path, in its own view and in the client's.
pub const PATH: &str = "data/c";
pub const SEEN: &str = "/local/domain/1/data/c";

/// Alice's end (the server) and Bob's.
pub fn ends(pair: &Pair, sizes: Sizes) -> (Stream, Stream) {
    let (mut alice, mut bob) = (None, None);
    let serve = async {
        let mut server =
            Server::new(pair.alice.services.clone(), pair.bob.domid, PATH, sizes).unwrap();
        alice = Some(server.accept().await.unwrap());
    };
    let connect = async {
        let mut client = Client::new(pair.bob.services.clone(), pair.alice.domid, SEEN).unwrap();
        bob = Some(client.connect().await.unwrap());
    };
    pair.world.run([Task::new(&pair.alice.events, serve), Task::new(&pair.bob.events, connect)]);
    (alice.unwrap(), bob.unwrap())
}

/// The smallest rings: 1,024 bytes to the server, 2,048 to the client.
pub fn small() -> Sizes {
    Sizes::new(1024, 1024).unwrap()
}

/// Byte `n` of a stream in which nearby places differ.
pub fn byte(n: usize) -> u8 {
    (n.wrapping_mul(0x9E37_79B9) >> 13) as u8
}

pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(byte).collect()
}

/// Fills this end's ring.
pub fn fill(stream: &mut Stream) -> usize {
    let all = bytes(stream.sender().capacity());
    stream.sender().try_write(&all).unwrap()
}

/// Number of events that a guest has sent.
pub fn sent(guest: &Guest) -> u64 {
    guest.system.counters().calls(Call::EvtchnSend)
}

/// Waits for `ns` nanoseconds.
pub async fn pause(guest: &Guest, ns: u64) {
    guest.system.sleep_until(guest.system.now() + ns).await;
}

/// Lets xenstore process requests whose answers nobody awaits.
pub fn settle(world: &World, guest: &Guest) {
    world.run([Task::new(&guest.events, async { pause(guest, 1000).await })]);
}

/// A peer of Alice's that can misbehave: it maps the shared page itself.
pub struct Rogue {
    pub page: Mapping<FakeXen, ReadWrite>,
    pub port: drivers::events::Port<FakeXen>,
}

/// Connects it to Alice's server.
pub fn rogue(pair: &Pair, sizes: Sizes) -> (Stream, Rogue) {
    let (mut alice, mut rogue) = (None, None);
    let serve = async {
        let mut server =
            Server::new(pair.alice.services.clone(), pair.bob.domid, PATH, sizes).unwrap();
        alice = Some(server.accept().await.unwrap());
    };
    let bob = &pair.bob;
    let connect = async {
        let store = bob.xenstore.clone().unwrap();
        let number = |value: Vec<u8>| String::from_utf8(value).unwrap().parse::<u32>().unwrap();
        let port = loop {
            match store.read(&format!("{SEEN}/event-channel")).await {
                Ok(value) => break number(value),
                Err(_) => pause(bob, 1_000_000).await,
            }
        };
        let page = number(store.read(&format!("{SEEN}/ring-ref")).await.unwrap());
        let port =
            bob.events.bind_interdomain(pair.alice.domid, drivers::PortNumber(port)).unwrap();
        let page = bob.map::<ReadWrite>(&[ClaimedGrant::new(1, page)]);
        page.write(20, &[1]).unwrap();
        port.send().unwrap();
        rogue = Some(Rogue { page, port });
    };
    pair.world.run([Task::new(&pair.alice.events, serve), Task::new(&bob.events, connect)]);
    (alice.unwrap(), rogue.unwrap())
}

/// A server that can publish anything: its page, its port, and the nodes it has written.
pub struct FalseServer {
    pub page: drivers::gntalloc::Export<FakeXen>,
    pub port: drivers::events::Port<FakeXen>,
}

/// Alice publishes a page prepared by `write`, and Bob's client is polled until it has seen it.
pub fn false_server(
    pair: &Pair,
    write: impl FnOnce(&FalseServer),
) -> (FalseServer, Result<(), Error>) {
    let alice = &pair.alice;
    let page = alice.gntalloc.open().alloc(pair.bob.domid, Pages(1), Access::ReadWrite).unwrap();
    let port = alice.events.alloc_unbound(pair.bob.domid).unwrap();
    let server = FalseServer { page, port };
    server.page.write(16, &[12, 0, 12, 0, 2, 1, 1, 0]).unwrap();
    write(&server);
    let gref = server.page.grefs().next().unwrap().0.to_string();
    let port = server.port.number().0.to_string();
    let connected = publish_and_connect(pair, &gref, &port);
    (server, connected)
}

/// Alice writes these nodes, and Bob connects to them.
pub fn publish_and_connect(pair: &Pair, gref: &str, port: &str) -> Result<(), Error> {
    let (alice, bob) = (&pair.alice, &pair.bob);
    let mut nodes = Vec::new();
    let publish = async {
        let store = alice.xenstore.clone().unwrap();
        for (name, value) in [("ring-ref", gref), ("event-channel", port)] {
            let reader = drivers::xenstore::Reader::Domain(bob.domid);
            let node = store.publish(&format!("{PATH}/{name}"), value.as_bytes(), reader).await;
            nodes.push(node.unwrap());
        }
    };
    pair.world.run([Task::new(&alice.events, publish)]);
    let mut connected = None;
    let connect = async {
        let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
        let late = pause(bob, 5 * SECOND);
        let connecting = client.connect();
        match embassy_futures::select::select(connecting, late).await {
            embassy_futures::select::Either::First(done) => connected = Some(done.map(drop)),
            embassy_futures::select::Either::Second(()) => {}
        }
    };
    pair.world.run([Task::new(&bob.events, connect)]);
    connected.expect("a verdict")
}

/// Whether a future has to wait, other than to yield.
pub fn is_waiting<T>(future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    (0..2).all(|_| poll_once(future.as_mut()).is_pending())
}

/// Asserts that nothing is left once both ends are released.
pub fn assert_clean(pair: &Pair) {
    settle(&pair.world, &pair.alice);
    settle(&pair.world, &pair.bob);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.bob.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}
