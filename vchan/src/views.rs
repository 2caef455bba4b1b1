// SPDX-License-Identifier: MIT OR Apache-2.0
//! Views of a ring: bytes are put into it and taken out of it where they are, in pieces and in any
//! order, without a buffer in between. They copy; nothing of the ring is lent, since the peer may
//! write it at any moment.

use drivers::shared::SharedBits;
use drivers::{Errno, Error as SystemError};

use crate::{Bell, Error, Receiver, Sender};

/// Room in a ring. Dropping it leaves the ring as it was.
#[derive(Debug)]
pub struct Reserved<'s, 'a, P, B> {
    sender: &'s mut Sender<'a, P, B>,
    len: u32,
}

impl<'s, 'a, P: SharedBits, B: Bell> Reserved<'s, 'a, P, B> {
    pub(crate) fn new(sender: &'s mut Sender<'a, P, B>, len: u32) -> Self {
        Self { sender, len }
    }

    /// How many bytes there is room for, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Copies bytes in, from `offset` on.
    ///
    /// # Errors
    /// EINVAL beyond the room.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let offset = check(self.len, offset, bytes.len())?;
        self.sender.put(offset, bytes)
    }

    /// Gives the first `len` bytes to the peer. What of them was not written is what the ring had
    /// there: bytes of this channel, older by a ring.
    ///
    /// # Errors
    /// EINVAL for more than there is room for.
    pub fn commit(self, len: usize) -> Result<(), Error> {
        let len = check(self.len, len, 0)?;
        if len > 0 { self.sender.write_data(len) } else { Ok(()) }
    }
}

/// Bytes in a ring. Dropping it leaves them there.
#[derive(Debug)]
pub struct Peeked<'r, 'a, P, B> {
    receiver: &'r mut Receiver<'a, P, B>,
    len: u32,
}

impl<'r, 'a, P: SharedBits, B: Bell> Peeked<'r, 'a, P, B> {
    pub(crate) fn new(receiver: &'r mut Receiver<'a, P, B>, len: u32) -> Self {
        Self { receiver, len }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none, and there never will be: the peer is gone.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes out, from `offset` on. A hostile peer may change them between two
    /// copies.
    ///
    /// # Errors
    /// EINVAL beyond what is there.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let offset = check(self.len, offset, bytes.len())?;
        self.receiver.get(offset, bytes)
    }

    /// Overwrites the first `len` bytes with zeros, so that nothing of them is left in the ring
    /// when they are consumed.
    ///
    /// # Errors
    /// EINVAL for more than there are; EACCES at a client whose ring has pages of its own: it maps them to be read.
    pub fn wipe(&mut self, len: usize) -> Result<(), Error> {
        self.receiver.zero(check(self.len, len, 0)?)
    }

    /// Takes the first `len` bytes out of the ring.
    ///
    /// # Errors
    /// EINVAL for more than there are.
    pub fn consume(self, len: usize) -> Result<(), Error> {
        let len = check(self.len, len, 0)?;
        if len > 0 { self.receiver.read_data(len) } else { Ok(()) }
    }
}

/// `offset`, if so many bytes from there on are among the first `size`.
fn check(size: u32, offset: usize, len: usize) -> Result<u32, Error> {
    match offset.checked_add(len) {
        Some(end) if end <= size as usize => Ok(offset as u32),
        _ => Err(SystemError::Local(Errno::EINVAL, "beyond the view of the ring").into()),
    }
}
