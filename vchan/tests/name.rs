// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels by name, between guests that know nothing of each other.

mod common;

use std::cell::{Cell, RefCell};

use common::SECOND;
use drivers::xenstore::Reader;
use drivers::{Errno, peers};
use embassy_futures::join::join;
use fake_xen::{Config, Guest, Pair, Task, World};
use vchan::{connect, listen};

async fn pause(guest: &Guest, ns: u64) {
    guest.system.sleep_until(guest.system.now() + ns).await;
}

/// Serves `clients` clients, one after the other: each gets back what it sends, and its domid.
async fn echo(guest: &Guest, clients: usize) {
    let mut listener = listen(guest, "echo").unwrap();
    for _ in 0..clients {
        let mut accepted = listener.accept().await.unwrap();
        let mut word = [0; 5];
        accepted.stream.recv(&mut word).await.unwrap();
        assert_eq!(word[0], b'0' + accepted.peer.get() as u8);
        accepted.stream.send(&word).await.unwrap();
        accepted.stream.close().await.unwrap();
    }
}

async fn ask(guest: &Guest) {
    let mut stream = connect(guest, "echo").await.unwrap();
    let word = format!("{}word", guest.domid);
    stream.send(word.as_bytes()).await.unwrap();
    let mut back = [0; 5];
    stream.recv(&mut back).await.unwrap();
    assert_eq!(back, word.as_bytes());
}

#[test]
fn they_find_each_other_in_either_order() {
    for [serves, asks] in [[0, 50], [50, 0], [0, 5000]] {
        let Pair { world, alice, bob } = Pair::new();
        let took = Cell::new(0);
        let server = async {
            pause(&alice, serves * SECOND / 1000).await;
            echo(&alice, 1).await;
        };
        let client = async {
            pause(&bob, asks * SECOND / 1000).await;
            let began = bob.system.now().max(serves * SECOND / 1000);
            ask(&bob).await;
            took.set(bob.system.now() - began);
        };
        world.run([Task::new(&alice.events, server), Task::new(&bob.events, client)]);
        assert!(took.get() < SECOND / 10, "{} ns", took.get());
        alice.gntalloc.reap(u32::MAX);
        alice.xen.assert_clean();
        bob.xen.assert_clean();
    }
}

#[test]
fn several_clients_are_served_and_each_as_often_as_it_wants() {
    let Pair { world, alice, bob } = Pair::new();
    let other = world.guest(3, Config::default());
    let twice = async |guest: &Guest| {
        ask(guest).await;
        ask(guest).await;
    };
    world.run([
        Task::new(&alice.events, echo(&alice, 4)),
        Task::new(&bob.events, twice(&bob)),
        Task::new(&other.events, twice(&other)),
    ]);
}

#[test]
fn one_guest_can_listen_by_one_name_and_connect_by_another() {
    let Pair { world, alice, bob } = Pair::new();
    let each = async |guest: &Guest, own: &str, others: &str| {
        let mut listener = listen(guest, own).unwrap();
        let (accepted, connected) = join(listener.accept(), connect(guest, others)).await;
        accepted.unwrap().stream.send(b"x").await.unwrap();
        connected.unwrap().recv(&mut [0]).await.unwrap();
    };
    world.run([
        Task::new(&alice.events, each(&alice, "a", "b")),
        Task::new(&bob.events, each(&bob, "b", "a")),
    ]);
}

#[test]
fn one_that_wants_and_never_comes_holds_others_up_for_five_seconds_at_most() {
    let world = World::new();
    let [alice, liar, bob] = [1, 2, 3].map(|domid| world.guest(domid, Config::default()));
    let lies = async {
        let wish = peers::publish(&liar, "data/vchan/echo/wanted", b"1", Reader::Anyone).await;
        pause(&liar, 60 * SECOND).await;
        drop(wish);
    };
    let client = async {
        pause(&bob, SECOND).await;
        for _ in 0..3 {
            ask(&bob).await;
        }
        let took = bob.system.now() / SECOND;
        assert!(took < 15, "{took} s");
    };
    world.run([
        Task::new(&alice.events, echo(&alice, 3)),
        Task::new(&liar.events, lies),
        Task::new(&bob.events, client),
    ]);
}

#[test]
fn one_that_offers_nonsense_is_left_alone_and_the_other_is_found() {
    let world = World::new();
    let [bob, liar, alice] = [1, 2, 3].map(|domid| world.guest(domid, Config::default()));
    let lies = async {
        let at = |node: &str| format!("data/vchan/echo/1/{node}");
        let nodes = [("ring-ref", &b"8"[..]), ("event-channel", b"nonsense")];
        let mut kept = Vec::new();
        for (node, value) in nodes {
            kept.push(peers::publish(&liar, &at(node), value, Reader::Anyone).await.unwrap());
        }
        pause(&liar, 60 * SECOND).await;
    };
    let server = async {
        pause(&alice, 2 * SECOND).await;
        echo(&alice, 1).await;
    };
    world.run([
        Task::new(&bob.events, ask(&bob)),
        Task::new(&liar.events, lies),
        Task::new(&alice.events, server),
    ]);
}

#[test]
fn what_is_no_name_is_refused() {
    let Pair { world, alice, .. } = Pair::new();
    let refused = RefCell::new(Vec::new());
    let run = async {
        for name in ["", "a/b", "..", "a b", "é", &"x".repeat(33)] {
            let errnos = [listen(&alice, name).err(), connect(&alice, name).await.err()];
            refused.borrow_mut().extend(errnos.map(|error| error.unwrap().errno()));
        }
    };
    world.run([Task::new(&alice.events, run)]);
    assert_eq!(refused.into_inner(), [Errno::EINVAL; 12]);
}
