// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers driven by input bytes, acting at every moment of an honest end: run by the fuzzers, and
//! replayed by tests.
#![allow(dead_code, reason = "every fuzz target uses one part of it")]

use drivers::shared::SharedMut;
use drivers::{Access, Pages};
use embassy_futures::select::{Either, select};
use fake_xen::{Config, Pair, Task};
use vchan::{Client, Error};

use crate::common::{
    FalseServer, PATH, Rogue, SECOND, SEEN, Stream, assert_clean, pause, rogue, small,
};

/// Maximum number of accesses to shared memory by one call.
const MOST: u64 = 20_000;
/// Pages whose references a false server's page may name.
const PAGES: u32 = 4;

/// Input bytes that control what happens; zeros once they are used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.next(), self.next(), self.next(), self.next()])
    }

    /// A number that is usually small.
    fn number(&mut self) -> u32 {
        match self.next() {
            kind @ ..224 => u32::from(kind) * 16 + u32::from(self.next() % 16),
            _ => self.word(),
        }
    }

    /// Splits the input: the first two bytes give the length of the first part.
    fn parts(mut self) -> [Self; 2] {
        let first = usize::from(self.next()) | usize::from(self.next()) << 8;
        let (first, second) = self.0.split_at(first.min(self.0.len()));
        [Self(first), Self(second)]
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// At some moments, writes something into the page, most often to the indices and states.
fn harm(bytes: &mut Bytes<'_>, page: &impl SharedMut, wait: &mut u8) -> bool {
    if bytes.is_empty() {
        return false;
    }
    if *wait > 0 {
        *wait -= 1;
        return false;
    }
    let what = bytes.next();
    *wait = bytes.next() % 32;
    let written = match what % 8 {
        at @ 0..4 => page.store_u32(4 * usize::from(at), bytes.number()),
        4 => page.write(16 + usize::from(what / 8) % 8, &[bytes.next()]),
        5 => page.store_u32(24 + 4 * (usize::from(what / 8) % 8), bytes.number()),
        6 => page.write(bytes.word() as usize % 4096, &[bytes.next()]),
        _ => return true,
    };
    written.expect("inside the page");
    what >= 128
}

/// Bob's client finds Alice's page with arbitrary content, which changes while he reads it.
pub fn handshake(input: &[u8]) {
    let [mut says, mut acts] = Bytes(input).parts();
    let pair = pair();
    let (alice, bob) = (&pair.alice, &pair.bob);
    let alloc = |pages| alice.gntalloc.open().alloc(bob.domid, Pages(pages), Access::ReadWrite);
    let (page, rings) = (alloc(1).unwrap(), alloc(PAGES).unwrap());
    let port = alice.events.alloc_unbound(bob.domid).unwrap();
    let server = FalseServer { page, port };
    server.page.write(16, &[12, 0, 12, 0, 2, 1, 1, 0]).unwrap();
    let refs: Vec<_> = rings.grefs().collect();
    for (place, gref) in refs.iter().cycle().take(512).enumerate() {
        server.page.store_u32(24 + 4 * place, gref.0).unwrap();
    }
    let mut nodes = [server.page.grefs().next().unwrap().0, server.port.number().0];
    // Most pages are nearly valid.
    while !says.is_empty() {
        match says.next() {
            0 => nodes[0] = says.word(),
            1 => nodes[1] = says.word(),
            at @ 2..26 => server.page.write(usize::from(at) - 2, &[says.next()]).unwrap(),
            at => server.page.store_u32(24 + 4 * usize::from(at), says.word()).unwrap(),
        }
    }
    let publish = async {
        let store = alice.xenstore.clone().unwrap();
        let reader = drivers::xenstore::Reader::Domain(bob.domid);
        let mut kept = Vec::new();
        for (name, value) in ["ring-ref", "event-channel"].iter().zip(nodes) {
            let (path, value) = (format!("{PATH}/{name}"), value.to_string());
            kept.push(store.publish(&path, value.as_bytes(), reader).await.unwrap());
        }
        // The nodes stay while Bob reads them.
        pause(alice, 8 * SECOND).await;
    };
    let connect = async {
        let mut client = Client::new(bob.services.clone(), alice.domid, SEEN).unwrap();
        if let Either::First(Ok(mut stream)) =
            select(client.connect(), pause(bob, 5 * SECOND)).await
        {
            let uses = async {
                let _ = stream.write(&[1; 100]).await;
                let _ = stream.read(&mut [0; 100]).await;
            };
            select(uses, pause(bob, SECOND)).await;
        }
    };
    let (mut wait, mut moments) = (0, 0);
    let other = |_| {
        moments += 1;
        assert!(moments < 20 * MOST, "a connect that never ends");
        if harm(&mut acts, &server.page, &mut wait) {
            // This is as much of a flood as happens at a time.
            let _ = server.port.send();
        }
    };
    bob.xen.interleave(other, || {
        pair.world.run([Task::new(&alice.events, publish), Task::new(&bob.events, connect)]);
    });
    drop((server, rings));
    assert_clean(&pair);
}

/// The input controls Alice's stream, and what her peer does to the page.
pub fn ring(input: &[u8]) {
    let [mut calls, mut acts] = Bytes(input).parts();
    let pair = pair();
    let (mut stream, rogue) = rogue(&pair, small());
    let Rogue { page, port } = &rogue;
    let mut wait = 0;
    let moments = core::cell::Cell::new(0);
    let other = |_| {
        moments.set(moments.get() + 1);
        assert!(moments.get() < MOST, "a call that never ends");
        if harm(&mut acts, page, &mut wait) {
            let _ = port.send();
        }
    };
    let run = async {
        let mut broken = false;
        while !calls.is_empty() {
            moments.set(0);
            let (what, len) = (calls.next(), calls.number() as usize % 4096);
            let called = select(call(&mut stream, what, len), pause(&pair.alice, 1_000_000)).await;
            if let Either::First(Err(error)) = called {
                let violated = matches!(error, Error::PeerViolation(_));
                // Once broken, it stays broken; but a packet or view that is too long is refused
                // first.
                assert!(violated || !broken || is_refused(error), "{what} {len}: {error}");
                broken |= violated;
            }
        }
        moments.set(0);
        let _ = stream.close().await;
    };
    pair.alice.xen.interleave(other, || {
        pair.world.run([Task::new(&pair.alice.events, run)]);
    });
    drop(rogue);
    assert_clean(&pair);
}

fn is_refused(error: Error) -> bool {
    // A peer that claims to be gone is gone, whatever else it writes.
    matches!(error, Error::TooLong | Error::Closed)
}

/// One call on a stream.
async fn call(stream: &mut Stream, what: u8, len: usize) -> Result<(), Error> {
    let mut bytes = vec![what; len];
    let (mut receiver, mut sender) = stream.split();
    let moved = match what % 10 {
        0 => receiver.read(&mut bytes).await?,
        1 => sender.write(&bytes).await?,
        2 => receiver.recv(&mut bytes).await.map(|()| len)?,
        3 => sender.send(&bytes).await.map(|()| len)?,
        4 => receiver.try_read(&mut bytes)?,
        5 => sender.try_write(&bytes)?,
        6 => {
            let seen = receiver.peek(len).await?;
            assert!(seen.len() <= 1024);
            let most = seen.len().min(len);
            seen.read(seen.len() - most, &mut bytes[..most])?;
            seen.consume(most)?;
            most
        }
        7 => {
            let mut room = sender.reserve(len).await?;
            assert!((1..=2048).contains(&room.len()));
            let most = room.len().min(len);
            room.write(room.len() - most, &bytes[..most])?;
            room.commit(most)?;
            most
        }
        8 => receiver.wipe().map(|()| 0)?,
        _ => stream.is_open().map(|_| 0)?,
    };
    assert!(moved <= len);
    Ok(())
}

/// Two small guests, which are quick to create.
fn pair() -> Pair {
    let config = Config { pages: 128, max_pages: 128, max_grant_frames: 1, ..Config::default() };
    Pair::of(config, config)
}
