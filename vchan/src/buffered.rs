// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream with its own read buffer, so that bytes can be borrowed from private memory, never from
//! the ring.

use alloc::vec::Vec;

use drivers::Error as SystemError;
use embedded_io_async::{BufRead, ErrorType, Read, Write};

use crate::Error;

/// Size of the buffer in bytes.
const SIZE: usize = 4096;

/// A reader with a private buffer of 4 KiB.
#[derive(Debug)]
pub struct Buffered<R> {
    inner: R,
    /// `SIZE` bytes; those in the range are unread.
    buffer: Vec<u8>,
    from: usize,
    to: usize,
}

impl<R> Buffered<R> {
    /// Wraps `inner` in a buffer.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(inner: R) -> Result<Self, Error> {
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(SIZE).map_err(|_| SystemError::NO_MEMORY)?;
        drivers::list::extend(&mut buffer, core::iter::repeat_n(0, SIZE))?;
        Ok(Self { inner, buffer, from: 0, to: 0 })
    }

    /// Returns the reader; bytes in the buffer are lost.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The reader, for everything but reading.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.from..self.to).unwrap_or_default()
    }
}

impl<R: ErrorType> ErrorType for Buffered<R> {
    type Error = R::Error;
}

impl<R: Read> BufRead for Buffered<R> {
    async fn fill_buf(&mut self) -> Result<&[u8], R::Error> {
        if self.from >= self.to {
            (self.from, self.to) = (0, 0);
            self.to = self.inner.read(&mut self.buffer).await?;
        }
        Ok(self.unread())
    }

    fn consume(&mut self, amt: usize) {
        self.from = self.from.saturating_add(amt).min(self.to);
    }
}

impl<R: Read> Read for Buffered<R> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, R::Error> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let unread = self.fill_buf().await?;
        let len = unread.len().min(bytes.len());
        for (byte, from) in bytes.iter_mut().zip(unread) {
            *byte = *from;
        }
        self.consume(len);
        Ok(len)
    }
}

impl<R: Write> Write for Buffered<R> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, R::Error> {
        self.inner.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), R::Error> {
        self.inner.flush().await
    }
}
