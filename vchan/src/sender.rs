// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writing end of a ring. Each step is named after its label in `vchan.tla`, without the prefix
//! `sender_`; `SenderWrite` there is [`Sender::room`] and the use of that room.

use drivers::shared::SharedBits;
use embedded_io_async::{ErrorType, Write};

use crate::layout::{NOTIFY_READ, NOTIFY_WRITE};
use crate::link::{Link, Ring};
use crate::views::Reserved;
use crate::{Bell, Error};

/// The writing half of a stream.
///
/// Dropping a future writes nothing: bytes are moved only after the last wait.
#[derive(Debug)]
pub struct Sender<'a, P, B> {
    link: &'a Link<P, B>,
    ring: &'a mut Ring,
}

impl<'a, P: SharedBits, B: Bell> Sender<'a, P, B> {
    pub(crate) fn new(link: &'a Link<P, B>, ring: &'a mut Ring) -> Self {
        Self { link, ring }
    }

    /// The ring's size in bytes.
    pub fn capacity(&self) -> usize {
        self.ring.size as usize
    }

    /// Waits for room for at least one byte, writes as much of `bytes` as fits, and returns how
    /// many. The peer can see them at once.
    ///
    /// # Errors
    /// [`Error::Closed`] once the peer has closed its end or is gone; [`Error::PeerViolation`].
    pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        Sender::new(self.link, self.ring).into_write(bytes)
    }

    /// [`Sender::write`], by a sender of its own. A stream's future is this one, not one around it:
    /// each layer would take as many instructions as a look at the ring.
    pub(crate) async fn into_write(mut self, bytes: &[u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let free = match self.room_now(1)? {
            Some(free) => free,
            None => self.room(1).await?,
        };
        self.write_some(bytes, free)
    }

    /// Writes all of `bytes`, in as many parts as it takes.
    ///
    /// # Errors
    /// As [`Sender::write`]; a part may have been written.
    pub fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        Sender::new(self.link, self.ring).into_write_all(bytes)
    }

    pub(crate) async fn into_write_all(mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let free = match self.room_now(1)? {
                Some(free) => free,
                None => self.room(1).await?,
            };
            let written = self.write_some(bytes, free)?;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes as much of `bytes` as there is room for now, and returns how many bytes, possibly
    /// none.
    ///
    /// # Errors
    /// As [`Sender::write`].
    pub fn try_write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.check_recv_live()?;
        let free = self.write_len()?;
        self.write_some(bytes, free)
    }

    /// Waits for room for all of `packet` and writes it at once: the peer sees all of it or
    /// nothing.
    ///
    /// # Errors
    /// As [`Sender::write`]; [`Error::TooLong`] if it is longer than the ring.
    pub fn send(&mut self, packet: &[u8]) -> impl Future<Output = Result<(), Error>> {
        Sender::new(self.link, self.ring).into_send(packet)
    }

    pub(crate) async fn into_send(mut self, packet: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(packet.len()).map_err(|_| Error::TooLong)?;
        if len > self.ring.size {
            return Err(Error::TooLong);
        }
        if len == 0 {
            return Ok(());
        }
        let free = match self.room_now(len)? {
            Some(free) => free,
            None => self.room(len).await?,
        };
        self.write_some(packet, free).map(drop)
    }

    /// Waits until there is room for at least `least` bytes (or one, if that is 0), and returns a
    /// view of all the room there is. The peer sees what is written there once it is committed.
    ///
    /// # Errors
    /// As [`Sender::write`]; [`Error::TooLong`] for more bytes than the ring has.
    pub async fn reserve(&mut self, least: usize) -> Result<Reserved<'_, 'a, P, B>, Error> {
        let least = u32::try_from(least.max(1)).map_err(|_| Error::TooLong)?;
        if least > self.ring.size {
            return Err(Error::TooLong);
        }
        let free = self.room(least).await?;
        Ok(Reserved::new(self, free))
    }

    /// Waits until the peer has read everything that was written.
    ///
    /// # Errors
    /// [`Error::Closed`] if the peer is gone and has not read it.
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
                // It may have read the rest right before closing.
                return if self.free()? == self.ring.size { Ok(()) } else { Err(Error::Closed) };
            }
            self.blocked(mark).await;
        }
    }

    /// How many bytes are free, if that is at least `len` and no other task's turn.
    fn room_now(&self, len: u32) -> Result<Option<u32>, Error> {
        if self.ring.turn.is_over() {
            return Ok(None);
        }
        self.check_recv_live()?;
        let free = self.write_len()?;
        Ok((free >= len).then_some(free))
    }

    /// Waits until `len` bytes are free, and returns how many are.
    async fn room(&mut self, len: u32) -> Result<u32, Error> {
        self.ring.turn.give_way().await;
        loop {
            self.check_recv_live()?;
            let free = self.write_len()?;
            if free >= len {
                return Ok(free);
            }
            // An event after this point wakes us: it may announce what comes after the checks
            // below.
            let mark = self.link.bell.delivered();
            self.request_notify()?;
            let free = self.recheck_len()?;
            if free >= len {
                return Ok(free);
            }
            // The event of a close may have come before that point.
            self.check_recv_live()?;
            self.blocked(mark).await;
        }
    }

    /// `sender_ready` the first time, `sender_check_recv_live` before and after a wait.
    fn check_recv_live(&self) -> Result<(), Error> {
        if self.link.is_peer_live()? { Ok(()) } else { Err(Error::Closed) }
    }

    /// `sender_write`: reads how much is free.
    fn write_len(&self) -> Result<u32, Error> {
        self.free()
    }

    /// `sender_request_notify`.
    fn request_notify(&self) -> Result<(), Error> {
        self.link.ask(NOTIFY_READ)
    }

    /// `sender_recheck_len`: a peer that read before our request was visible sends no event.
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

    /// Writes as much as fits into `free` bytes.
    fn write_some(&mut self, bytes: &[u8], free: u32) -> Result<usize, Error> {
        let bytes = bytes.get(..free as usize).unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(0);
        }
        self.put(0, bytes)?;
        self.write_data(bytes.len() as u32)?;
        Ok(bytes.len())
    }

    /// Copies bytes into the ring, starting `skip` bytes after our index.
    pub(crate) fn put(&self, skip: u32, bytes: &[u8]) -> Result<(), Error> {
        let (at, ahead) = self.ring.place(skip, bytes.len());
        let (first, second) = bytes.split_at_checked(ahead).unwrap_or((bytes, &[]));
        self.link.out().write(at, first)?;
        if !second.is_empty() {
            self.link.out().write(self.ring.start, second)?;
        }
        Ok(())
    }

    /// `sender_write_data`: makes the bytes visible to the peer.
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
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        Sender::write(self, bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        Sender::write_all(self, bytes)
    }

    /// The peer can already see everything that was written.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
