// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reading end of a ring. Each step is named after its label in `vchan.tla`, without the prefix
//! `recv_`; `ReceiverRead` there is [`Receiver::data`] and the use of that data.

use drivers::shared::SharedBits;
use embedded_io_async::{ErrorType, Read};

use crate::layout::{NOTIFY_READ, NOTIFY_WRITE};
use crate::link::{Link, Ring};
use crate::views::Peeked;
use crate::{Bell, Error};

/// Written over secrets.
static ZEROS: [u8; 256] = [0; 256];

/// The reading half of a stream.
///
/// Dropping a future loses nothing: bytes are moved only after the last wait.
#[derive(Debug)]
pub struct Receiver<'a, P, B> {
    link: &'a Link<P, B>,
    ring: &'a mut Ring,
}

impl<'a, P: SharedBits, B: Bell> Receiver<'a, P, B> {
    pub(crate) fn new(link: &'a Link<P, B>, ring: &'a mut Ring) -> Self {
        Self { link, ring }
    }

    /// The ring's size in bytes.
    pub fn capacity(&self) -> usize {
        self.ring.size as usize
    }

    /// Waits for at least one byte, reads as many as fit, and returns how many. 0 once the peer has
    /// closed its end or is gone, and everything it had written has been read.
    ///
    /// # Errors
    /// [`Error::PeerViolation`].
    pub fn read(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        Receiver::new(self.link, self.ring).into_read(bytes)
    }

    /// [`Receiver::read`], by a receiver of its own: see [`crate::Sender`].
    pub(crate) async fn into_read(mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let have = self.data(1).await?;
        self.read_some(bytes, have)
    }

    /// Reads what is there now, as much as fits, and returns how many bytes, possibly none.
    ///
    /// # Errors
    /// As [`Receiver::read`]. [`Error::Closed`] if the peer is gone and everything has been read.
    pub fn try_read(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let mut have = self.reading()?;
        if have == 0 && !self.link.is_peer_live()? {
            have = self.final_check()?;
            if have == 0 {
                return Err(Error::Closed);
            }
        }
        self.read_some(bytes, have)
    }

    /// Fills `packet`, waiting until all of its bytes are there.
    ///
    /// # Errors
    /// As [`Receiver::read`]; [`Error::Closed`] if the peer is gone and fewer bytes are left, which
    /// stay in the ring; [`Error::TooLong`] for more bytes than the ring has.
    pub fn recv(&mut self, packet: &mut [u8]) -> impl Future<Output = Result<(), Error>> {
        Receiver::new(self.link, self.ring).into_recv(packet)
    }

    pub(crate) async fn into_recv(mut self, packet: &mut [u8]) -> Result<(), Error> {
        let len = u32::try_from(packet.len()).map_err(|_| Error::TooLong)?;
        if len > self.ring.size {
            return Err(Error::TooLong);
        }
        if len == 0 {
            return Ok(());
        }
        let have = self.data(len).await?;
        if have < len {
            return Err(Error::Closed);
        }
        self.read_some(packet, have).map(drop)
    }

    /// Waits until there are at least `least` bytes (or one, if that is 0), and returns a view of
    /// all that are there: fewer, or none, only once the peer is gone. They stay in the ring until
    /// consumed.
    ///
    /// # Errors
    /// As [`Receiver::read`]; [`Error::TooLong`] for more bytes than the ring has.
    pub async fn peek(&mut self, least: usize) -> Result<Peeked<'_, 'a, P, B>, Error> {
        let least = u32::try_from(least.max(1)).map_err(|_| Error::TooLong)?;
        if least > self.ring.size {
            return Err(Error::TooLong);
        }
        let have = self.data(least).await?;
        Ok(Peeked::new(self, have))
    }

    /// Overwrites the whole ring with zeros, both what was read and what was not. For the end of a
    /// channel that carried secrets.
    ///
    /// # Errors
    /// EACCES at a client whose ring has its own pages, which it maps read-only.
    pub fn wipe(&mut self) -> Result<(), Error> {
        self.zero(self.ring.size)
    }

    /// Waits until `len` bytes are there, and returns how many are. Fewer only if the peer is gone.
    async fn data(&mut self, len: u32) -> Result<u32, Error> {
        self.ring.turn.give_way().await;
        loop {
            let have = self.reading()?;
            if have >= len {
                return Ok(have);
            }
            // An event after this point wakes us: it may announce what comes after the checks
            // below.
            let mark = self.link.bell.delivered();
            self.got_len()?;
            let have = self.recheck_len()?;
            if have >= len {
                return Ok(have);
            }
            if !self.link.is_peer_live()? {
                return self.final_check();
            }
            self.await_data(mark).await;
        }
    }

    /// `recv_reading`: reads how much is there.
    fn reading(&self) -> Result<u32, Error> {
        self.link.used(self.ring)
    }

    /// `recv_got_len`, if there is too little: requests an event for more.
    fn got_len(&self) -> Result<(), Error> {
        self.link.ask(NOTIFY_WRITE)
    }

    /// `recv_recheck_len`: a peer that wrote before our request was visible sends no event.
    fn recheck_len(&self) -> Result<u32, Error> {
        self.link.used(self.ring)
    }

    /// `recv_final_check`: catches what the peer wrote right before closing, after our last check.
    fn final_check(&self) -> Result<u32, Error> {
        self.link.used(self.ring)
    }

    /// `recv_await_data`.
    async fn await_data(&self, mark: u64) {
        self.link.wait(mark).await;
    }

    /// Reads as many of `have` bytes as fit.
    fn read_some(&mut self, bytes: &mut [u8], have: u32) -> Result<usize, Error> {
        let len = bytes.len().min(have as usize);
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        if len > 0 {
            self.get(0, bytes)?;
            self.read_data(len as u32)?;
        }
        Ok(len)
    }

    /// Copies bytes, starting `skip` bytes after our index.
    pub(crate) fn get(&self, skip: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let (at, ahead) = self.ring.place(skip, bytes.len());
        let (first, second) = bytes.split_at_mut_checked(ahead).unwrap_or_default();
        self.link.into().read(at, first)?;
        if !second.is_empty() {
            self.link.into().read(self.ring.start, second)?;
        }
        Ok(())
    }

    /// Overwrites `len` bytes from our index on with zeros.
    pub(crate) fn zero(&self, len: u32) -> Result<(), Error> {
        let mut done = 0;
        while done < len {
            let piece = ZEROS.get(..(len - done) as usize).unwrap_or(&ZEROS);
            let (at, ahead) = self.ring.place(done, piece.len());
            self.link.into().write(at, piece.get(..ahead).unwrap_or_default())?;
            done += ahead as u32;
        }
        Ok(())
    }

    /// `recv_read_data`: frees the room.
    pub(crate) fn read_data(&mut self, len: u32) -> Result<(), Error> {
        self.link.publish(self.ring, len)?;
        self.check_notify_read()
    }

    /// `recv_check_notify_read`.
    fn check_notify_read(&self) -> Result<(), Error> {
        if self.link.answer(NOTIFY_READ)? { self.notify_read() } else { Ok(()) }
    }

    /// `recv_notify_read`.
    fn notify_read(&self) -> Result<(), Error> {
        self.link.ring()
    }
}

impl<P, B> ErrorType for Receiver<'_, P, B> {
    type Error = Error;
}

impl<P: SharedBits, B: Bell> Read for Receiver<'_, P, B> {
    fn read(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        Receiver::read(self, bytes)
    }
}
