// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends and receives through one channel.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use drivers::memory::Platform;
use drivers::{Error as SystemError, list};
use tasks::pattern::{self, SplitMix64};
use vchan::{Error, GuestStream};

/// How to move bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// One at a time, each answered before the next.
    Answered,
    /// In writes of this many bytes, and reads of what is there.
    Messages(usize),
    /// Through views of the ring, without copying.
    Views,
}

/// What was moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

impl Moved {
    /// Adds another channel's; order matters.
    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.crc = self.crc.rotate_left(1) ^ other.crc;
    }
}

/// `len` bytes of the stream of seed 1.
pub(super) fn buffer(len: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| SystemError::NO_MEMORY)?;
    let words = SplitMix64::new(1).flat_map(u64::to_le_bytes);
    list::extend(&mut buffer, words.take(len))?;
    Ok(buffer)
}

/// Waits until both ends are there and settled.
pub(super) async fn meet<X: Platform>(
    stream: &mut GuestStream<X>,
    begins: bool,
) -> Result<(), Error> {
    let mut byte = [0];
    if begins {
        stream.send(&byte).await?;
        stream.recv(&mut byte).await
    } else {
        stream.recv(&mut byte).await?;
        stream.send(&byte).await
    }
}

/// Sends or receives `bytes` bytes.
pub(super) async fn run<X: Platform>(
    stream: &mut GuestStream<X>,
    sends: bool,
    kind: Kind,
    bytes: u64,
    buffer: &mut [u8],
) -> Result<Moved, Error> {
    let mut moved = Moved::default();
    let mut crc = pattern::crc();
    while moved.bytes < bytes {
        let left = usize::try_from(bytes - moved.bytes).unwrap_or(usize::MAX);
        let at = moved.bytes as usize % buffer.len();
        let done = match (kind, sends) {
            (Kind::Answered, _) => {
                let mut byte = [at as u8];
                if sends {
                    stream.send(&byte).await?;
                    crc.update(&byte);
                    stream.recv(&mut byte).await?;
                } else {
                    stream.recv(&mut byte).await?;
                    crc.update(&byte);
                    stream.send(&byte).await?;
                }
                1
            }
            (Kind::Messages(size), true) => {
                // From the rest of the buffer, which is used cyclically.
                let end = buffer.len().min(at + size.min(left));
                let message = buffer.get(at..end).unwrap_or_default();
                stream.write_all(message).await?;
                crc.update(message);
                message.len()
            }
            (Kind::Messages(_), false) => {
                let most = buffer.len().min(left);
                let room = buffer.get_mut(..most).unwrap_or_default();
                let len = stream.read(room).await?;
                if len == 0 {
                    return Err(Error::Closed);
                }
                crc.update(room.get(..len).unwrap_or_default());
                len
            }
            (Kind::Views, true) => {
                let mut sender = stream.sender();
                let room = sender.reserve(1).await?;
                let len = room.len().min(left);
                room.commit(len)?;
                len
            }
            (Kind::Views, false) => {
                let mut receiver = stream.receiver();
                let seen = receiver.peek(1).await?;
                let len = seen.len().min(left);
                if len == 0 {
                    return Err(Error::Closed);
                }
                seen.consume(len)?;
                len
            }
        };
        moved.bytes += done as u64;
    }
    moved.crc = crc.finalize();
    Ok(moved)
}

/// The text of `words`.
pub(super) fn text(words: fmt::Arguments<'_>) -> Result<String, Error> {
    let mut text = String::new();
    push(&mut text, words)?;
    Ok(text)
}

/// Appends the text of `words`.
pub(super) fn push(text: &mut String, words: fmt::Arguments<'_>) -> Result<(), Error> {
    Ok(text.write_fmt(words).map_err(|_| SystemError::NO_MEMORY)?)
}
