// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream of bytes from one domain to another through shared pages.
//!
//! The first page holds the two indices, which run free, and two marks that say who waits; the
//! other pages are the buffer. Each side writes its own index and mark only, keeps its index
//! privately, and reads the other's once per look and checks it: an index that can't be ends the
//! stream with an error. An event is sent only to a side that has said it waits. Any error ends the
//! stream: Xen may refuse the event of bytes that were moved already, and moving them again would
//! have them twice. A future that is dropped does not tell how much it has moved, either.
//!
//! Closing is not part of it: the ends agree on that elsewhere.

#[cfg(test)]
mod orders;

use core::sync::atomic::Ordering;
#[cfg(not(test))]
use core::sync::atomic::fence;

use crate::events::Port;
use crate::memory::{PAGE_SIZE, Platform};
use crate::shared::SharedMut;
use crate::turn::Turn;
#[cfg(test)]
use crate::words::checked::rt::fence;
use crate::{Errno, Error};

/// Where in the first page the words are, each in a cache line of its own.
const PROD: usize = 0;
const CONS: usize = 64;
const SENDER_WAITS: usize = 128;
const RECEIVER_WAITS: usize = 192;

/// What rings at the other end, and is rung from there.
trait Bell {
    /// How often it was rung.
    fn delivered(&self) -> u64;

    /// Waits until it was rung more than `mark` times.
    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()>;

    /// Rings at the other end.
    fn ring(&self) -> Result<(), Error>;

    /// A test leaves the ring's fences out, to show what they are for.
    const FENCED: bool = true;
}

/// What comes before it is seen by all before what comes after.
fn settle<B: Bell>() {
    if B::FENCED {
        fence(Ordering::SeqCst);
    }
}

impl<X: Platform> Bell for Port<X> {
    fn delivered(&self) -> u64 {
        Port::delivered(self)
    }

    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()> {
        Port::wait_beyond(self, mark)
    }

    fn ring(&self) -> Result<(), Error> {
        self.send()
    }
}

/// Either end.
#[derive(Debug)]
struct RingEnd<'a, B, S: ?Sized> {
    shared: &'a S,
    bell: &'a B,
    /// Bytes of the buffer, a power of two.
    size: u32,
    /// Our index.
    index: u32,
    /// Ends after a ring's worth of bytes.
    turn: Turn,
}

/// The end that writes.
#[derive(Debug)]
pub struct Sender<'a, X: Platform, S: ?Sized>(RingEnd<'a, Port<X>, S>);

/// The end that reads.
#[derive(Debug)]
pub struct Receiver<'a, X: Platform, S: ?Sized>(RingEnd<'a, Port<X>, S>);

impl<'a, X: Platform, S: SharedMut + ?Sized> Sender<'a, X, S> {
    /// The writing end over zeroed pages: 1 and a power of two more. `port` leads to the reader.
    ///
    /// # Errors
    /// EINVAL for another number of pages.
    pub fn new(shared: &'a S, port: &'a Port<X>) -> Result<Self, Error> {
        RingEnd::new(shared, port).map(Self)
    }

    /// Writes as much as fits; how many bytes that was.
    ///
    /// # Errors
    /// EIO if the reader's index can't be.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.push(bytes)
    }

    /// Writes all of `bytes`, waiting for room as often as it takes.
    ///
    /// # Errors
    /// As [`Sender::push`].
    pub fn send(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.0.send(bytes)
    }
}

impl<'a, X: Platform, S: SharedMut + ?Sized> Receiver<'a, X, S> {
    /// The reading end: see [`Sender::new`].
    ///
    /// # Errors
    /// EINVAL for another number of pages.
    pub fn new(shared: &'a S, port: &'a Port<X>) -> Result<Self, Error> {
        RingEnd::new(shared, port).map(Self)
    }

    /// Reads what is there, as much as fits; how many bytes that was.
    ///
    /// # Errors
    /// EIO if the writer's index can't be.
    pub fn pull(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        self.0.pull(bytes)
    }

    /// Reads at least one byte, waiting for it.
    ///
    /// # Errors
    /// As [`Receiver::pull`].
    pub fn receive(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        self.0.receive(bytes)
    }
}

impl<'a, B: Bell, S: SharedMut + ?Sized> RingEnd<'a, B, S> {
    fn new(shared: &'a S, bell: &'a B) -> Result<Self, Error> {
        let size = shared.size().checked_sub(PAGE_SIZE).and_then(|size| u32::try_from(size).ok());
        match size.filter(|size| size.is_power_of_two()) {
            Some(size) => Ok(Self { shared, bell, size, index: 0, turn: Turn::new(size as usize) }),
            None => Err(Error::Local(Errno::EINVAL, "a ring has 1 page and a power of two more")),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let room = self.size - self.used(CONS)?;
        let bytes = bytes.get(..room as usize).unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(0);
        }
        let (at, ahead) = self.place();
        let (first, second) = bytes.split_at_checked(ahead).unwrap_or((bytes, &[]));
        self.shared.write(at, first)?;
        self.shared.write(PAGE_SIZE, second)?;
        self.publish(PROD, bytes.len(), RECEIVER_WAITS)?;
        Ok(bytes.len())
    }

    async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            self.turn.give_way().await;
            let mark = self.bell.delivered();
            let mut sent = self.push(bytes)?;
            if sent == 0 {
                self.wait(SENDER_WAITS, true)?;
                // Once more: who made room before our mark could be seen will not ring.
                sent = self.push(bytes)?;
                if sent == 0 {
                    self.bell.wait_beyond(mark).await;
                }
                self.wait(SENDER_WAITS, false)?;
            }
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    fn pull(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let len = bytes.len().min(self.used(PROD)? as usize);
        if len == 0 {
            return Ok(0);
        }
        let (at, ahead) = self.place();
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        let (first, second) = if len <= ahead {
            (bytes, &mut [][..])
        } else {
            bytes.split_at_mut_checked(ahead).unwrap_or_default()
        };
        self.shared.read(at, first)?;
        self.shared.read(PAGE_SIZE, second)?;
        self.publish(CONS, len, SENDER_WAITS)?;
        Ok(len)
    }

    async fn receive(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        loop {
            self.turn.give_way().await;
            let mark = self.bell.delivered();
            let mut received = self.pull(bytes)?;
            if received == 0 && !bytes.is_empty() {
                self.wait(RECEIVER_WAITS, true)?;
                // Once more: who wrote before our mark could be seen will not ring.
                received = self.pull(bytes)?;
                if received == 0 {
                    self.bell.wait_beyond(mark).await;
                }
                self.wait(RECEIVER_WAITS, false)?;
            }
            if received > 0 || bytes.is_empty() {
                return Ok(received);
            }
        }
    }

    /// Bytes between the other side's index and ours, `prod` - `cons`.
    fn used(&self, other: usize) -> Result<u32, Error> {
        let other_index = self.shared.load_u32(other)?;
        let used = match other {
            PROD => other_index.wrapping_sub(self.index),
            _ => self.index.wrapping_sub(other_index),
        };
        if used > self.size { Err(BROKEN) } else { Ok(used) }
    }

    /// The place of our index in the shared range, and how many bytes lie before the buffer's end.
    fn place(&self) -> (usize, usize) {
        let at = self.index & (self.size - 1);
        (PAGE_SIZE + at as usize, (self.size - at) as usize)
    }

    /// Publishes our index, and rings the other side if it waits.
    fn publish(&mut self, own: usize, moved: usize, other_waits: usize) -> Result<(), Error> {
        self.index = self.index.wrapping_add(moved as u32);
        self.turn.count(moved);
        self.shared.store_u32(own, self.index)?;
        // The index before the look at the mark; the other side sets its mark before it looks at
        // the index. One of us sees the other's.
        settle::<B>();
        if self.shared.load_u32(other_waits)? != 0 {
            self.bell.ring()?;
        }
        Ok(())
    }

    /// Says that we wait, or no longer.
    fn wait(&self, mark: usize, waits: bool) -> Result<(), Error> {
        self.shared.store_u32(mark, u32::from(waits))?;
        settle::<B>();
        Ok(())
    }
}

const BROKEN: Error = Error::Local(Errno::EIO, "the peer's index of the shared ring can't be");
