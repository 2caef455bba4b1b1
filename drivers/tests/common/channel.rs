//! A channel of bytes from Alice to Bob, whatever carries it: what tests of rings are written
//! against, so that they run on every ring there is.

use drivers::events::Port;
use drivers::gntalloc::Export;
use drivers::gntdev::{Mapping, ReadWrite};
use drivers::ring::{Receiver, Sender};
use drivers::shared::SharedMut;
use fake_xen::{FakeXen, Pair};

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

/// Byte `n` of a stream in which no two places near each other look alike.
pub fn byte(n: usize) -> u8 {
    (n.wrapping_mul(0x9E37_79B9) >> 13) as u8
}
