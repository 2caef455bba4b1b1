// SPDX-License-Identifier: MIT OR Apache-2.0
//! Views of a ring: bytes are copied into and out of it in place, in pieces and in any order,
//! without a buffer in between. The ring is never borrowed, since the peer may write to it at any
//! moment.

use drivers::shared::SharedBits;
use drivers::{Errno, Error as SystemError};

use crate::{Bell, Error, Receiver, Sender};

/// Free room in a ring. Dropping it leaves the ring unchanged.
#[derive(Debug)]
pub struct Reserved<'s, 'a, P, B> {
    sender: &'s mut Sender<'a, P, B>,
    len: u32,
}

impl<'s, 'a, P: SharedBits, B: Bell> Reserved<'s, 'a, P, B> {
    pub(crate) fn new(sender: &'s mut Sender<'a, P, B>, len: u32) -> Self {
        Self { sender, len }
    }

    /// The size of the room in bytes, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Copies `bytes` into the ring, from `offset` on.
    ///
    /// # Errors
    /// EINVAL if it would exceed the room.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let offset = check(self.len, offset, bytes.len())?;
        self.sender.put(offset, bytes)
    }

    /// Makes the first `len` bytes visible to the peer. Bytes among them that were not written keep
    /// what the ring held: this channel's own data, one ring's length older.
    ///
    /// # Errors
    /// EINVAL if `len` exceeds the room.
    pub fn commit(self, len: usize) -> Result<(), Error> {
        let len = check(self.len, len, 0)?;
        if len > 0 { self.sender.write_data(len) } else { Ok(()) }
    }
}

/// Unread bytes in a ring. Dropping it leaves them there.
#[derive(Debug)]
pub struct Peeked<'r, 'a, P, B> {
    receiver: &'r mut Receiver<'a, P, B>,
    len: u32,
}

impl<'r, 'a, P: SharedBits, B: Bell> Peeked<'r, 'a, P, B> {
    pub(crate) fn new(receiver: &'r mut Receiver<'a, P, B>, len: u32) -> Self {
        Self { receiver, len }
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none. Then there never will be any: the peer is gone.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes out of the ring, from `offset` on. A hostile peer may change them between two
    /// copies.
    ///
    /// # Errors
    /// EINVAL if it would exceed what is there.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let offset = check(self.len, offset, bytes.len())?;
        self.receiver.get(offset, bytes)
    }

    /// Overwrites the first `len` bytes with zeros, so that none of them is left in the ring when
    /// they are consumed.
    ///
    /// # Errors
    /// EINVAL for more than there are; EACCES at a client whose ring has its own pages, which it
    /// maps read-only.
    pub fn wipe(&mut self, len: usize) -> Result<(), Error> {
        self.receiver.zero(check(self.len, len, 0)?)
    }

    /// Removes the first `len` bytes from the ring.
    ///
    /// # Errors
    /// EINVAL for more than there are.
    pub fn consume(self, len: usize) -> Result<(), Error> {
        let len = check(self.len, len, 0)?;
        if len > 0 { self.receiver.read_data(len) } else { Ok(()) }
    }
}

/// `offset`, if `len` bytes from there on lie within the first `size`.
fn check(size: u32, offset: usize, len: usize) -> Result<u32, Error> {
    match offset.checked_add(len) {
        Some(end) if end <= size as usize => Ok(offset as u32),
        _ => Err(SystemError::Local(Errno::EINVAL, &"beyond the view of the ring").into()),
    }
}
