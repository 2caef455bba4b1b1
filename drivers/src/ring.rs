// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream of bytes from one domain to another through shared pages.
//!
//! The first page holds two free-running indices and two marks that say who waits; the other pages
//! are the buffer. Each side writes only its own index and mark and keeps a private copy of its
//! index. It reads the other's index once per access and checks it; an impossible index is an
//! error. An event is sent only to a side whose mark says that it waits.
//!
//! Any error ends the stream: Xen may refuse to send the event for bytes that were already moved,
//! and moving them again would duplicate them. A dropped future doesn't tell how much it has moved
//! either.
//!
//! Closing is not part of the protocol: the two ends agree on it by other means.

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

/// Offsets of the words in the first page, each in a cache line of its own.
const PROD: usize = 0;
const CONS: usize = 64;
const SENDER_WAITS: usize = 128;
const RECEIVER_WAITS: usize = 192;

/// What signals the other end, and is signaled from there.
trait Bell {
    /// Returns how often it was rung.
    fn delivered(&self) -> u64;

    /// Waits until it was rung more than `mark` times.
    fn wait_beyond(&self, mark: u64) -> impl Future<Output = ()>;

    /// Rings at the other end.
    fn ring(&self) -> Result<(), Error>;

    /// False only in tests, which omit the ring's fences to show what they are for.
    const FENCED: bool = true;
}

/// Orders everything before it ahead of everything after it, for all observers.
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
    /// The buffer's size in bytes, a power of two.
    size: u32,
    /// Our index.
    index: u32,
    /// A turn of one ring's worth of bytes.
    turn: Turn,
}

/// The end that writes.
#[derive(Debug)]
pub struct Sender<'a, X: Platform, S: ?Sized>(RingEnd<'a, Port<X>, S>);

/// The end that reads.
#[derive(Debug)]
pub struct Receiver<'a, X: Platform, S: ?Sized>(RingEnd<'a, Port<X>, S>);

impl<'a, X: Platform, S: SharedMut + ?Sized> Sender<'a, X, S> {
    /// Creates the writing end over zeroed pages: one page plus a power of two. `port` leads to the
    /// reader.
    ///
    /// # Errors
    /// EINVAL for another number of pages.
    pub fn new(shared: &'a S, port: &'a Port<X>) -> Result<Self, Error> {
        RingEnd::new(shared, port).map(Self)
    }

    /// Writes as much as fits and returns the number of bytes written.
    ///
    /// # Errors
    /// EIO if the reader's index is impossible. Any error ends the stream.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.push(bytes)
    }

    /// Writes all of `bytes`, waiting for room as often as needed.
    ///
    /// # Errors
    /// As [`Sender::push`].
    pub fn send(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.0.send(bytes)
    }
}

impl<'a, X: Platform, S: SharedMut + ?Sized> Receiver<'a, X, S> {
    /// Creates the reading end: see [`Sender::new`].
    ///
    /// # Errors
    /// EINVAL for another number of pages.
    pub fn new(shared: &'a S, port: &'a Port<X>) -> Result<Self, Error> {
        RingEnd::new(shared, port).map(Self)
    }

    /// Reads what is there, as much as fits, and returns the number of bytes read.
    ///
    /// # Errors
    /// EIO if the writer's index is impossible. Any error ends the stream.
    pub fn pull(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        self.0.pull(bytes)
    }

    /// Reads at least one byte, waiting for it if necessary.
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
            None => Err(Error::Local(Errno::EINVAL, &"a ring has 1 page and a power of two more")),
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
                // Try again: a reader that made room before it could see our mark will not ring.
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
                // Try again: a writer that wrote before it could see our mark will not ring.
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

    /// Returns `prod` - `cons`, after checking the other side's index.
    fn used(&self, other: usize) -> Result<u32, Error> {
        let other_index = self.shared.load_u32(other)?;
        let used = match other {
            PROD => other_index.wrapping_sub(self.index),
            _ => self.index.wrapping_sub(other_index),
        };
        if used > self.size { Err(BROKEN) } else { Ok(used) }
    }

    /// Returns the offset of our index in the shared range, and the number of bytes up to the
    /// buffer's end.
    fn place(&self) -> (usize, usize) {
        let at = self.index & (self.size - 1);
        (PAGE_SIZE + at as usize, (self.size - at) as usize)
    }

    /// Publishes our index, and rings the other side if it waits.
    fn publish(&mut self, own: usize, moved: usize, other_waits: usize) -> Result<(), Error> {
        self.index = self.index.wrapping_add(moved as u32);
        self.turn.count(moved);
        self.shared.store_u32(own, self.index)?;
        // The index is published before the mark is read; the other side sets its mark before it
        // reads the index. So at least one of us sees the other's write.
        settle::<B>();
        if self.shared.load_u32(other_waits)? != 0 {
            self.bell.ring()?;
        }
        Ok(())
    }

    /// Sets or clears our mark, which says that we wait.
    fn wait(&self, mark: usize, waits: bool) -> Result<(), Error> {
        self.shared.store_u32(mark, u32::from(waits))?;
        settle::<B>();
        Ok(())
    }
}

const BROKEN: Error =
    Error::Local(Errno::EIO, &"the peer's index in the shared ring is impossible");
