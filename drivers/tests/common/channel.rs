// SPDX-License-Identifier: MIT OR Apache-2.0
//! A channel of bytes from Alice to Bob, independent of what carries it, so that the ring tests run
//! on every kind of ring.

use fake_xen::{FakeXen, Guest, Pair, Task};
use std::sync::{Mutex, PoisonError};
use vchan::{Client, GuestStream, Server, Sizes};

/// An open channel.
pub trait ByteChannel: Sized {
    /// How many bytes it holds.
    const ROOM: usize;

    /// Opens a channel between two guests that have none yet.
    fn open(pair: &Pair) -> Self;

    /// Returns Alice's end; call it once.
    fn writer(&self) -> impl WriteEnd;

    /// Returns Bob's end; call it once.
    fn reader(&self) -> impl ReadEnd;
}

/// The writing end.
pub trait WriteEnd {
    /// Writes as much as there is room for, without waiting, and returns the number of bytes.
    fn push(&mut self, bytes: &[u8]) -> usize;

    /// Writes all bytes, waiting for room.
    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = ()>;
}

/// The reading end.
pub trait ReadEnd {
    /// Reads what is there, without waiting, and returns the number of bytes.
    fn pull(&mut self, bytes: &mut [u8]) -> usize;

    /// Reads at least one byte, waiting for it if necessary.
    fn receive(&mut self, bytes: &mut [u8]) -> impl Future<Output = usize>;
}

/// A vchan with the smallest rings. `FROM_SERVER`: Alice, who writes, is its server.
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

/// Returns the two ends of a vchan, the server's first.
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

/// Returns byte `n` of a stream without repetitions at short distances.
pub fn byte(n: usize) -> u8 {
    (n.wrapping_mul(0x9E37_79B9) >> 13) as u8
}
