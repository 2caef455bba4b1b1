// SPDX-License-Identifier: MIT OR Apache-2.0
//! A channel of bytes from Alice to Bob, whatever carries it: what tests of rings are written
//! against, so that they run on every ring there is.

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::ring::{Receiver, Sender};
use drivers::shared::SharedMut;
use fake_xen::{FakeXen, Guest, Pair, Task};
use std::sync::{Mutex, PoisonError};
use vchan::{Client, GuestStream, Server, Sizes};

/// A channel that is open.
pub trait ByteChannel: Sized {
    /// Bytes that it holds.
    const ROOM: usize;

    /// One between two guests that have none.
    fn open(pair: &Pair) -> Self;

    /// Alice's end, once.
    fn writer(&self) -> impl WriteEnd;

    /// Bob's end, once.
    fn reader(&self) -> impl ReadEnd;
}

/// The end that writes.
pub trait WriteEnd {
    /// Writes what there is room for, without waiting; how many bytes.
    fn push(&mut self, bytes: &[u8]) -> usize;

    /// Writes all, waiting for room.
    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = ()>;
}

/// The end that reads.
pub trait ReadEnd {
    /// Reads what is there, without waiting; how many bytes.
    fn pull(&mut self, bytes: &mut [u8]) -> usize;

    /// Reads at least one byte, waiting for it.
    fn receive(&mut self, bytes: &mut [u8]) -> impl Future<Output = usize>;
}

/// `drivers::ring`, with one page of indices and one of bytes.
pub struct SharedRing {
    export: Export<FakeXen>,
    mapping: Mapping<FakeXen, ReadWrite>,
    here: Port<FakeXen>,
    there: Port<FakeXen>,
}

impl ByteChannel for SharedRing {
    const ROOM: usize = 4096;

    fn open(pair: &Pair) -> Self {
        let export = pair.alice.share(&pair.bob, 2);
        let mapping = pair.bob.map(&pair.alice.offer(&export));
        let (here, there) = pair.alice.channel(&pair.bob);
        Self { export, mapping, here, there }
    }

    fn writer(&self) -> impl WriteEnd {
        Sender::new(&self.export, &self.here).expect("two pages are a ring")
    }

    fn reader(&self) -> impl ReadEnd {
        Receiver::new(&self.mapping, &self.there).expect("two pages are a ring")
    }
}

impl<S: SharedMut> WriteEnd for Sender<'_, FakeXen, S> {
    fn push(&mut self, bytes: &[u8]) -> usize {
        Sender::push(self, bytes).expect("the peer is honest")
    }

    async fn send(&mut self, bytes: &[u8]) {
        Sender::send(self, bytes).await.expect("the peer is honest");
    }
}

impl<S: SharedMut> ReadEnd for Receiver<'_, FakeXen, S> {
    fn pull(&mut self, bytes: &mut [u8]) -> usize {
        Receiver::pull(self, bytes).expect("the peer is honest")
    }

    async fn receive(&mut self, bytes: &mut [u8]) -> usize {
        Receiver::receive(self, bytes).await.expect("the peer is honest")
    }
}

/// A channel of vchan's with the smallest rings. `FROM_SERVER`: Alice, who writes, is its server.
pub struct Vchan<const FROM_SERVER: bool> {
    alice: Mutex<Option<GuestStream<FakeXen>>>,
    bob: Mutex<Option<GuestStream<FakeXen>>>,
}

impl<const FROM_SERVER: bool> ByteChannel for Vchan<FROM_SERVER> {
    // Both rings lie in the shared page.
    const ROOM: usize = if FROM_SERVER { 2048 } else { 1024 };

    fn open(pair: &Pair) -> Self {
        let (server, client) =
            if FROM_SERVER { (&pair.alice, &pair.bob) } else { (&pair.bob, &pair.alice) };
        let (served, connected) = vchan(pair, server, client, Sizes::new(1024, 1024).unwrap());
        let (alice, bob) = if FROM_SERVER { (served, connected) } else { (connected, served) };
        Self { alice: Mutex::new(Some(alice)), bob: Mutex::new(Some(bob)) }
    }

    fn writer(&self) -> impl WriteEnd {
        taken(&self.alice)
    }

    fn reader(&self) -> impl ReadEnd {
        taken(&self.bob)
    }
}

fn taken<T>(end: &Mutex<Option<T>>) -> T {
    end.lock().unwrap_or_else(PoisonError::into_inner).take().expect("taken once")
}

/// The two ends of a vchan, the server's first.
pub fn vchan(
    pair: &Pair,
    server: &Guest,
    client: &Guest,
    sizes: Sizes,
) -> (GuestStream<FakeXen>, GuestStream<FakeXen>) {
    let (mut served, mut connected) = (None, None);
    let serve = async {
        let mut server =
            Server::new(server.services.clone(), client.domid, "data/c", sizes).unwrap();
        served = Some(server.accept().await.unwrap());
    };
    let connect = async {
        let path = format!("/local/domain/{}/data/c", server.domid);
        let mut client = Client::new(client.services.clone(), server.domid, &path).unwrap();
        connected = Some(client.connect().await.unwrap());
    };
    pair.world.run([Task::new(&server.events, serve), Task::new(&client.events, connect)]);
    (served.unwrap(), connected.unwrap())
}

impl WriteEnd for GuestStream<FakeXen> {
    fn push(&mut self, bytes: &[u8]) -> usize {
        self.sender().try_write(bytes).expect("the peer is honest")
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.write_all(bytes).await.expect("the peer is honest");
    }
}

impl ReadEnd for GuestStream<FakeXen> {
    fn pull(&mut self, bytes: &mut [u8]) -> usize {
        self.receiver().try_read(bytes).expect("the peer is honest")
    }

    async fn receive(&mut self, bytes: &mut [u8]) -> usize {
        self.read(bytes).await.expect("the peer is honest")
    }
}

/// Byte `n` of a stream in which no two places near each other look alike.
pub fn byte(n: usize) -> u8 {
    (n.wrapping_mul(0x9E37_79B9) >> 13) as u8
}
