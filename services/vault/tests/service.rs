// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests and answers over a channel between two guests, and what remains of them.

mod common;

use std::cell::RefCell;
use std::fmt::{Arguments, Write};

use common::{FAILURE, LIST, SUCCESS, add, listed, lock, sign, string, unlock};
use embassy_futures::select::select;
use fake_xen::{FakeXen, Guest, Pair, Task};
use grantkit::events::Port;
use grantkit::prelude::*;
use grantkit::shared::SharedBits;
use vault::agent::{Agent, LONGEST};
use vault::{prompt, service};
use vchan::{Client, GuestStream, Server, Sizes};
use zeroize::Zeroizing;

type Stream = GuestStream<FakeXen>;

/// Runs the service in Alice's guest, and `client` in Bob's, with a function that connects.
fn with_service(client: impl AsyncFnOnce(&mut Client<Services<FakeXen>>, &System<FakeXen>)) {
    let pair = Pair::new();
    let agent = RefCell::new(Agent::new().unwrap());
    let (alice, bob) = (pair.alice.services.clone(), pair.bob.services.clone());
    let done = RefCell::new(false);
    let run = async {
        let server =
            Server::new(alice.clone(), pair.bob.domid, service::PATH, Sizes::default()).unwrap();
        let served = service::run(&alice, server, &agent, &|error| panic!("{error}"));
        let until = async {
            while !*done.borrow() {
                alice.system.sleep_until(alice.system.now() + 1_000_000).await;
            }
        };
        select(served, until).await;
    };
    let use_it = async {
        let path = format!("/local/domain/{}/{}", pair.alice.domid.get(), service::PATH);
        let mut to = Client::new(bob.clone(), pair.alice.domid, &path).unwrap();
        client(&mut to, &bob.system).await;
        *done.borrow_mut() = true;
    };
    pair.world.run([Task::new(&pair.alice.events, run), Task::new(&pair.bob.events, use_it)]);
    pair.alice.gntalloc.reap(u32::MAX);
    pair.assert_clean();
}

async fn ask(stream: &mut Stream, request: &[u8]) -> Vec<u8> {
    stream.write_all(&string(request)).await.unwrap();
    answer(stream).await
}

async fn answer(stream: &mut Stream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.recv(&mut length).await.unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.recv(&mut answer).await.unwrap();
    answer
}

#[test]
fn one_client_adds_a_key_and_the_next_uses_it() {
    with_service(async |to, _| {
        let mut stream = to.connect().await.unwrap();
        assert_eq!(ask(&mut stream, &add(1, b"one")).await, SUCCESS);
        stream.close().await.unwrap();
        let mut stream = to.connect().await.unwrap();
        assert_eq!(ask(&mut stream, LIST).await, listed(&[(1, b"one")]));
        assert_eq!(ask(&mut stream, &sign(1, b"x")).await[0], 14);
    });
}

#[test]
fn three_are_served_at_once_and_a_fourth_when_one_has_gone() {
    with_service(async |to, _| {
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(to.connect().await.unwrap());
        }
        for stream in streams.iter_mut().rev() {
            assert_eq!(ask(stream, LIST).await, listed(&[]));
        }
        drop(streams.remove(1));
        streams.push(to.connect().await.unwrap());
        for stream in &mut streams {
            assert_eq!(ask(stream, &[99]).await, FAILURE);
        }
    });
}

#[test]
fn requests_come_in_any_pieces_and_several_at_once() {
    with_service(async |to, _| {
        let mut stream = to.connect().await.unwrap();
        for byte in string(&add(1, b"one")) {
            stream.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(answer(&mut stream).await, SUCCESS);
        stream.write_all(&[string(LIST), string(LIST)].concat()).await.unwrap();
        assert_eq!(answer(&mut stream).await, listed(&[(1, b"one")]));
        assert_eq!(answer(&mut stream).await, listed(&[(1, b"one")]));
    });
}

#[test]
fn the_longest_request_is_read_and_a_longer_one_ends_its_channel_alone() {
    with_service(async |to, _| {
        let mut other = to.connect().await.unwrap();
        let mut stream = to.connect().await.unwrap();
        assert_eq!(ask(&mut stream, &[99; LONGEST]).await, FAILURE);
        for wrong in [0, LONGEST as u32 + 1, u32::MAX] {
            stream.write_all(&wrong.to_be_bytes()).await.unwrap();
            assert_eq!(answer(&mut stream).await, FAILURE);
            assert_eq!(stream.read(&mut [0]).await, Ok(0));
            stream = to.connect().await.unwrap();
        }
        assert_eq!(ask(&mut other, LIST).await, listed(&[]));
    });
}

/// A client that maps the pages itself, so that it sees the ring.
struct Raw {
    page: Mapping<FakeXen, ReadWrite>,
    ring: Mapping<FakeXen, ReadWrite>,
    port: Port<FakeXen>,
}

impl Raw {
    async fn connect(bob: &Guest, alice: DomId) -> Self {
        let store = bob.services.xenstore.as_ref().unwrap();
        let node = async |name: &str| loop {
            let path = format!("/local/domain/1/{}/{name}", service::PATH);
            match store.read(&path).await {
                Ok(value) => break String::from_utf8(value).unwrap().parse::<u32>().unwrap(),
                Err(_) => bob.system.sleep_until(bob.system.now() + 1_000_000).await,
            }
        };
        let port = PortNumber(node("event-channel").await);
        let port = bob.events.bind_interdomain(alice, port).unwrap();
        let page = node("ring-ref").await;
        let page = bob.reserve(&[ClaimedGrant::new(1, page)]).map::<ReadWrite>().unwrap();
        let grant = |page: &Mapping<_, _>, at: usize| {
            ClaimedGrant::new(1, page.load_u32(24 + 4 * at).unwrap())
        };
        let grants: Vec<_> = (0..16).map(|at| grant(&page, at)).collect();
        let ring = bob.reserve(&grants).map::<ReadWrite>().unwrap();
        page.write(20, &[1]).unwrap();
        Self { page, ring, port }
    }

    /// Puts bytes into the ring.
    fn put(&self, at: usize, bytes: &[u8]) {
        self.ring.write(at, bytes).unwrap();
        self.page.store_u32(4, (at + bytes.len()) as u32).unwrap();
        self.port.send().unwrap();
    }

    /// Waits until the service has answered with this many bytes.
    async fn answered(&self, bytes: u32) {
        loop {
            let mark = self.port.delivered();
            if self.page.load_u32(12).unwrap() >= bytes {
                return;
            }
            // Like any client, request an event.
            self.page.fetch_or_u8(23, 1).unwrap();
            if self.page.load_u32(12).unwrap() < bytes {
                self.port.wait_beyond(mark).await;
            }
        }
    }

    fn is_clean(&self) -> bool {
        let mut bytes = [1; 65_536];
        self.ring.read(0, &mut bytes).unwrap();
        bytes == [0; 65_536]
    }
}

#[test]
fn nothing_of_a_request_is_left_in_the_ring_whole_or_not() {
    let pair = Pair::new();
    let agent = RefCell::new(Agent::new().unwrap());
    let serve = async {
        let host = pair.alice.services.clone();
        let mut server =
            Server::new(host.clone(), pair.bob.domid, service::PATH, Sizes::default()).unwrap();
        service::serve(&host, server.accept().await.unwrap(), &agent).await.unwrap();
    };
    let client = async {
        let raw = Raw::connect(&pair.bob, pair.alice.domid).await;
        let request = string(&add(0xa5, b"x"));
        raw.put(0, &request);
        assert!(!raw.is_clean());
        raw.answered(5).await;
        raw.page.store_u32(8, 5).unwrap();
        assert!(raw.is_clean());
        assert_eq!(agent.borrow().list().count(), 1);
        // Half a request, and its client is gone: the live byte goes first.
        raw.page.write(20, &[0]).unwrap();
        raw.put(request.len(), &request[..100]);
        while raw.page.load_u32(20).unwrap().to_le_bytes()[1] == 1 {
            let mark = raw.port.delivered();
            raw.port.wait_beyond(mark).await;
        }
        assert!(raw.is_clean());
    };
    pair.world.run([Task::new(&pair.alice.events, serve), Task::new(&pair.bob.events, client)]);
    assert_eq!(agent.borrow().list().count(), 1);
}

#[test]
fn a_wrong_passphrase_holds_the_answer_back() {
    with_service(async |to, system| {
        let mut stream = to.connect().await.unwrap();
        assert_eq!(ask(&mut stream, &lock(b"secret")).await, SUCCESS);
        let began = system.now();
        for _ in 0..3 {
            assert_eq!(ask(&mut stream, &unlock(b"wrong")).await, FAILURE);
        }
        assert_eq!(ask(&mut stream, &unlock(b"secret")).await, SUCCESS);
        let ms = (system.now() - began) / 1_000_000;
        assert!((600..700).contains(&ms), "{ms}");
    });
}

#[test]
fn a_client_that_dies_within_a_request_leaves_the_others_served() {
    with_service(async |to, _| {
        let mut stream = to.connect().await.unwrap();
        stream.write_all(&add(1, b"one")[..20]).await.unwrap();
        drop(stream);
        let mut stream = to.connect().await.unwrap();
        assert_eq!(ask(&mut stream, LIST).await, listed(&[]));
    });
}

/// The prompt's answer to a line.
fn typed(agent: &RefCell<Agent>, line: &str, seed: Option<u8>) -> String {
    let said = RefCell::new(String::new());
    let say = |words: Arguments<'_>| writeln!(said.borrow_mut(), "{words}").unwrap();
    prompt::obey(line, agent, || seed.map(|seed| Zeroizing::new([seed; 32])), &say);
    said.into_inner()
}

#[test]
fn a_key_is_made_at_the_prompt_and_shown_as_authorized_keys_has_it() {
    let agent = RefCell::new(Agent::new().unwrap());
    let said = typed(&agent, "vault new me@here", Some(1));
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..4], ["ok", "vault", "new", "ssh-ed25519"]);
    assert!(words[4].starts_with("AAAAC3NzaC1lZDI1NTE5AAAAI") && words[5] == "me@here");
    assert_eq!(agent.borrow_mut().answer(LIST), listed(&[(1, b"me@here")]));
    let list = typed(&agent, "vault list", None);
    assert_eq!(list, format!("{}ok vault list keys=1\n", &said[13..]));
}

#[test]
fn without_a_generator_no_key_is_made() {
    let agent = RefCell::new(Agent::new().unwrap());
    let said = typed(&agent, "vault new", None);
    assert_eq!(said, "error vault new: this processor has no RDRAND\n");
    assert_eq!(agent.borrow().list().count(), 0);
}

#[test]
fn what_else_is_typed_is_told_what_could_be() {
    let agent = RefCell::new(Agent::new().unwrap());
    for line in ["vault", "new", "vault delete", "vault list all", "?"] {
        assert!(typed(&agent, line, Some(1)).starts_with("error vault: type "), "{line}");
    }
    assert_eq!(typed(&agent, "", Some(1)), "");
    assert_eq!(agent.borrow().list().count(), 0);
    agent.borrow_mut().answer(&lock(b"x"));
    assert_eq!(typed(&agent, "vault new", Some(1)), "error vault new: the vault is locked\n");
}
