// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a ring that writes. Each step bears the name of its label in `vchan.tla`, where it
//! begins with `sender_`; `SenderWrite` there is [`Sender::room`] and what is done with the room.

use drivers::shared::SharedBits;
use embedded_io_async::{ErrorType, Write};

use crate::layout::{NOTIFY_READ, NOTIFY_WRITE};
use crate::link::{Link, Ring};
use crate::views::Reserved;
use crate::{Bell, Error};

/// The writing half of a stream.
///
/// A future that is dropped has written nothing: bytes are moved after the last wait.
#[derive(Debug)]
pub struct Sender<'a, P, B> {
    link: &'a Link<P, B>,
    ring: &'a mut Ring,
}

impl<'a, P: SharedBits, B: Bell> Sender<'a, P, B> {
    pub(crate) fn new(link: &'a Link<P, B>, ring: &'a mut Ring) -> Self {
        Self { link, ring }
    }

    /// How many bytes the ring has.
    pub fn capacity(&self) -> usize {
        self.ring.size as usize
    }

    /// Writes as much of `bytes` as there is room for, at least one byte, waiting for that; how
    /// many. It's the peer's to see then.
    ///
    /// # Errors
    /// [`Error::Closed`] once the peer has closed its end or is gone; [`Error::PeerViolation`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let free = self.room(1).await?;
        self.write_some(bytes, free)
    }

    /// Writes as much of `bytes` as there is room for now; how many bytes, which may be none.
    ///
    /// # Errors
    /// As [`Sender::write`].
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.check_recv_live()?;
        let free = self.write_len()?;
        self.write_some(bytes, free)
    }

    /// Writes all of `packet` at once, waiting until there is room for it: a peer sees all of it
    /// or nothing.
    ///
    /// # Errors
    /// As [`Sender::write`]; [`Error::TooLong`] for one that is longer than the ring.
    pub async fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(packet.len()).map_err(|_| Error::TooLong)?;
        if len > self.ring.size {
            return Err(Error::TooLong);
        }
        if len == 0 {
            return Ok(());
        }
        let free = self.room(len).await?;
        self.write_some(packet, free).map(drop)
    }

    /// Waits until there is room for at least `least` bytes, or for one if that is 0, and gives
    /// all the room there is. What is written there is the peer's to see once it is committed.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn reserve(&mut self, least: usize) -> Result<Reserved<'_, 'a, P, B>, Error> {
        let least = u32::try_from(least.max(1)).map_err(|_| Error::TooLong)?;
        if least > self.ring.size {
            return Err(Error::TooLong);
        }
        let free = self.room(least).await?;
        Ok(Reserved::new(self, free))
    }

    /// Waits until all that was written has been taken.
    ///
    /// # Errors
    /// [`Error::Closed`] if the peer is gone and has not taken it.
    pub(crate) async fn taken(&mut self) -> Result<(), Error> {
        loop {
            let mark = self.link.bell.delivered();
            if self.free()? == self.ring.size {
                return Ok(());
            }
            self.request_notify()?;
            if self.recheck_len()? == self.ring.size {
                return Ok(());
            }
            if !self.link.is_peer_live()? {
                // It may have taken the rest right before it closed.
                return if self.free()? == self.ring.size { Ok(()) } else { Err(Error::Closed) };
            }
            self.blocked(mark).await;
        }
    }

    /// Waits until `len` bytes are free; how many are.
    async fn room(&mut self, len: u32) -> Result<u32, Error> {
        self.ring.turn.give_way().await;
        loop {
            // An event that comes after this wakes us: it may be about what comes after the looks.
            let mark = self.link.bell.delivered();
            self.check_recv_live()?;
            let free = self.write_len()?;
            if free >= len {
                return Ok(free);
            }
            self.request_notify()?;
            let free = self.recheck_len()?;
            if free >= len {
                return Ok(free);
            }
            self.blocked(mark).await;
        }
    }

    /// `sender_ready` before the first look, `sender_check_recv_live` before others.
    fn check_recv_live(&self) -> Result<(), Error> {
        if self.link.is_peer_live()? { Ok(()) } else { Err(Error::Closed) }
    }

    /// `sender_write`: how much is free.
    fn write_len(&self) -> Result<u32, Error> {
        self.free()
    }

    /// `sender_request_notify`.
    fn request_notify(&self) -> Result<(), Error> {
        self.link.ask(NOTIFY_READ)
    }

    /// `sender_recheck_len`: a peer that has read before our request was there does not ring.
    fn recheck_len(&self) -> Result<u32, Error> {
        self.free()
    }

    /// `sender_blocked`.
    async fn blocked(&self, mark: u64) {
        self.link.wait(mark).await;
    }

    fn free(&self) -> Result<u32, Error> {
        Ok(self.ring.size - self.link.used(self.ring)?)
    }

    /// Writes what fits into `free` bytes.
    fn write_some(&mut self, bytes: &[u8], free: u32) -> Result<usize, Error> {
        let bytes = bytes.get(..free as usize).unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(0);
        }
        self.put(0, bytes)?;
        self.write_data(bytes.len() as u32)?;
        Ok(bytes.len())
    }

    /// Copies bytes to the place so far behind our index.
    pub(crate) fn put(&self, skip: u32, bytes: &[u8]) -> Result<(), Error> {
        let (at, ahead) = self.ring.place(skip, bytes.len());
        let (first, second) = bytes.split_at_checked(ahead).unwrap_or((bytes, &[]));
        self.link.out().write(at, first)?;
        if !second.is_empty() {
            self.link.out().write(self.ring.start, second)?;
        }
        Ok(())
    }

    /// `sender_write_data`: the bytes become the peer's to see.
    pub(crate) fn write_data(&mut self, len: u32) -> Result<(), Error> {
        self.link.publish(self.ring, len)?;
        self.check_notify_data()
    }

    /// `sender_check_notify_data`.
    fn check_notify_data(&self) -> Result<(), Error> {
        if self.link.answer(NOTIFY_WRITE)? { self.notify_data() } else { Ok(()) }
    }

    /// `sender_notify_data`.
    fn notify_data(&self) -> Result<(), Error> {
        self.link.ring()
    }
}

impl<P, B> ErrorType for Sender<'_, P, B> {
    type Error = Error;
}

impl<P: SharedBits, B: Bell> Write for Sender<'_, P, B> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        Sender::write(self, bytes).await
    }

    /// What was written is the peer's to see already.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
