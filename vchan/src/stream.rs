// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream: both halves of an open channel, and its pages and port.

use core::pin::pin;

use drivers::shared::SharedBits;
use drivers::{Errno, Error as SystemError};
use embassy_futures::select::{Either, select};
use embedded_io_async::{ErrorType, Read, Write};

use crate::link::{Link, Ring};
use crate::{Bell, Error, Receiver, Sender, Sizes};

/// How long a closing side waits for its data to be read: 10 s.
const LINGER_NS: u64 = 10_000_000_000;

/// An open channel. It owns its pages and its port, so it can be moved into a task.
///
/// Dropping it closes it at once. The peer can still read what was written, if it checks the ring
/// once more, as our [`Receiver`] does; [`Stream::close`] waits for that.
#[derive(Debug)]
pub struct Stream<P, B> {
    link: Link<P, B>,
    out: Ring,
    into: Ring,
}

impl<P: SharedBits, B: Bell> Stream<P, B> {
    /// A stream over rings whose indices, on our side, start at `written` and `read`.
    pub(crate) fn new(link: Link<P, B>, sizes: Sizes, written: u32, read: u32) -> Self {
        let (out, into) =
            (Ring::out(link.side, sizes, written), Ring::into(link.side, sizes, read));
        Self { link, out, into }
    }

    /// Checks that the peer's indices are possible.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.link.used(&self.out)?;
        self.link.used(&self.into).map(drop)
    }

    pub(crate) fn link(&self) -> &Link<P, B> {
        &self.link
    }

    /// The two halves, for concurrent use.
    pub fn split(&mut self) -> (Receiver<'_, P, B>, Sender<'_, P, B>) {
        let Self { link, out, into } = self;
        (Receiver::new(link, into), Sender::new(link, out))
    }

    /// The reading half.
    pub fn receiver(&mut self) -> Receiver<'_, P, B> {
        self.split().0
    }

    /// The writing half.
    pub fn sender(&mut self) -> Sender<'_, P, B> {
        self.split().1
    }

    /// See [`Receiver::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        self.receiver().into_read(bytes)
    }

    /// See [`Sender::write`].
    ///
    /// # Errors
    /// As there.
    pub fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        self.sender().into_write(bytes)
    }

    /// See [`Sender::write_all`].
    ///
    /// # Errors
    /// As there.
    pub fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.sender().into_write_all(bytes)
    }

    /// See [`Receiver::recv`].
    ///
    /// # Errors
    /// As there.
    pub fn recv(&mut self, packet: &mut [u8]) -> impl Future<Output = Result<(), Error>> {
        self.receiver().into_recv(packet)
    }

    /// See [`Sender::send`].
    ///
    /// # Errors
    /// As there.
    pub fn send(&mut self, packet: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.sender().into_send(packet)
    }

    /// Whether the peer's end is open, as far as known. Even if it isn't, there may be data left to
    /// read.
    ///
    /// # Errors
    /// Those of the pages.
    pub fn is_open(&self) -> Result<bool, Error> {
        self.link.is_peer_live()
    }

    /// Number of events sent to the peer so far.
    pub fn events_sent(&self) -> u64 {
        self.link.rung()
    }

    /// Closes the channel once the peer has read what was written, or after 10 s.
    ///
    /// # Errors
    /// If the peer has not read everything: [`Error::Closed`] if it is gone, ETIMEDOUT if it is
    /// there.
    pub async fn close(mut self) -> Result<(), Error> {
        let due = self.link.bell.now().saturating_add(LINGER_NS);
        let Self { link, out, .. } = &mut self;
        let late = link.bell.sleep_until(due);
        let mut sender = Sender::new(link, out);
        match select(pin!(sender.taken()), late).await {
            Either::First(taken) => taken,
            Either::Second(()) => {
                let words = &"the peer has not taken what was written";
                Err(SystemError::Local(Errno::ETIMEDOUT, words).into())
            }
        }
    }
}

impl<P, B> ErrorType for Stream<P, B> {
    type Error = Error;
}

impl<P: SharedBits, B: Bell> Read for Stream<P, B> {
    fn read(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<usize, Error>> {
        Stream::read(self, bytes)
    }
}

impl<P: SharedBits, B: Bell> Write for Stream<P, B> {
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<usize, Error>> {
        Stream::write(self, bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Error>> {
        Stream::write_all(self, bytes)
    }

    /// The peer can already see everything that was written.
    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
