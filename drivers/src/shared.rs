// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an export and a mapping have in common: a range of bytes shared with another domain.
//!
//! The other domain may change any byte at any moment. So nothing here hands out a reference: copy
//! the bytes and check the copy. Reading a field twice would be a double fetch (XSA-155); read it
//! once into a variable and use that.

use crate::memory::PAGE_SIZE;
use crate::{Errno, Error};

/// A range of shared bytes, from offset 0.
pub trait Shared {
    /// Returns its length in bytes, a multiple of 4096.
    fn size(&self) -> usize;

    /// Copies bytes out, starting at `offset`.
    ///
    /// # Errors
    /// EINVAL outside the range.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error>;

    /// Atomically reads 32 bits with acquire ordering: later reads see what the peer wrote before
    /// it stored them.
    ///
    /// # Errors
    /// EINVAL outside the range or if the offset is not a multiple of 4.
    fn load_u32(&self, offset: usize) -> Result<u32, Error>;

    /// Checks that `len` bytes from `offset` on are inside the range.
    ///
    /// # Errors
    /// EINVAL if they are not.
    fn check(&self, offset: usize, len: usize) -> Result<(), Error> {
        check_range(self.size(), offset, len)
    }

    /// Borrows `len` bytes from `offset` on as a view, which can't outlive the range.
    ///
    /// # Errors
    /// EINVAL outside the range.
    fn view(&self, offset: usize, len: usize) -> Result<View<'_, Self>, Error>
    where
        Self: Sized,
    {
        self.check(offset, len)?;
        Ok(View { shared: self, offset, len })
    }
}

/// A part of a shared range. Offsets count from its own start.
#[derive(Debug)]
pub struct View<'a, S: ?Sized> {
    shared: &'a S,
    offset: usize,
    len: usize,
}

impl<S: Shared + ?Sized> View<'_, S> {
    /// Returns its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes out, starting at `offset`.
    ///
    /// # Errors
    /// EINVAL outside the view.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        check_range(self.len, offset, bytes.len())?;
        self.shared.read(self.offset + offset, bytes)
    }
}

impl<S: SharedMut + ?Sized> View<'_, S> {
    /// Copies bytes in, starting at `offset`.
    ///
    /// # Errors
    /// EINVAL outside the view.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        check_range(self.len, offset, bytes.len())?;
        self.shared.write(self.offset + offset, bytes)
    }
}

/// Checks that `len` bytes from `offset` on lie in the first `size` bytes.
#[inline]
pub(crate) fn check_range(size: usize, offset: usize, len: usize) -> Result<(), Error> {
    if is_within(size, offset, len) { Ok(()) } else { Err(OUTSIDE) }
}

/// The same check, as a `bool`.
#[inline]
pub(crate) fn is_within(size: usize, offset: usize, len: usize) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= size)
}

/// The error for a range that reaches beyond its pages.
pub(crate) const OUTSIDE: Error = Error::Local(Errno::EINVAL, &"outside the shared pages");

/// A range of shared bytes that we may also write.
pub trait SharedMut: Shared {
    /// Copies bytes in, starting at `offset`.
    ///
    /// # Errors
    /// EINVAL outside the range.
    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error>;

    /// Atomically writes 32 bits with release ordering: after everything written before.
    ///
    /// # Errors
    /// EINVAL outside the range or if the offset is not a multiple of 4.
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), Error>;
}

/// A range of shared bytes in which both sides may set and clear bits of the same byte.
pub trait SharedBits: SharedMut {
    /// Atomically sets bits of a byte and returns the previous value. Whichever side comes second
    /// sees what the other wrote before its own operation.
    ///
    /// # Errors
    /// EINVAL outside the range.
    fn fetch_or_u8(&self, offset: usize, bits: u8) -> Result<u8, Error>;

    /// Atomically keeps these bits of a byte, clears the others, and returns the previous value.
    ///
    /// # Errors
    /// EINVAL outside the range.
    fn fetch_and_u8(&self, offset: usize, bits: u8) -> Result<u8, Error>;
}

/// Checks that an aligned 32-bit word at `offset` lies in the first `size` bytes, a multiple of 4.
#[inline]
pub(crate) fn check_word(size: usize, offset: usize) -> Result<(), Error> {
    if is_word_within(size, offset) { Ok(()) } else { Err(OUTSIDE) }
}

/// The same check, as a `bool`.
#[inline]
pub(crate) fn is_word_within(size: usize, offset: usize) -> bool {
    offset.is_multiple_of(4) && offset < size
}

/// Splits a range at page boundaries: yields each part's page number, offset in that page, and
/// length.
pub(crate) fn by_page(offset: usize, len: usize) -> impl Iterator<Item = (u32, usize, usize)> {
    let (mut at, end) = (offset, offset + len);
    core::iter::from_fn(move || {
        let in_page = at % PAGE_SIZE;
        let part = (PAGE_SIZE - in_page).min(end - at);
        let page = (at / PAGE_SIZE) as u32;
        at += part;
        (part > 0).then_some((page, in_page, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_range_is_split_where_pages_end() {
        let parts = |offset, len| by_page(offset, len).collect::<Vec<_>>();
        assert_eq!(parts(0, 0), []);
        assert_eq!(parts(4095, 2), [(0, 4095, 1), (1, 0, 1)]);
        assert_eq!(parts(4096, 4096), [(1, 0, 4096)]);
        assert_eq!(parts(10, 8192), [(0, 10, 4086), (1, 0, 4096), (2, 0, 10)]);
    }
}
