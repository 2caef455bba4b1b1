// SPDX-License-Identifier: MIT OR Apache-2.0
//! An ioctl's argument: bytes, checked to hold its structure.

use drivers::{Errno, Error};

/// A structure in the caller's memory.
#[derive(Debug)]
pub(super) struct Arg<'a>(&'a mut [u8]);

impl<'a> Arg<'a> {
    /// Wraps an argument that begins with a `T`.
    ///
    /// # Errors
    /// EFAULT if the bytes end before it does.
    pub(super) fn new<T>(bytes: &'a mut [u8]) -> Result<Self, Error> {
        if bytes.len() < size_of::<T>() {
            return Err(TOO_SHORT);
        }
        Ok(Self(bytes))
    }

    /// Checks that `count` items of `size` bytes follow from `at` on.
    ///
    /// # Errors
    /// EFAULT if the bytes end before they do.
    pub(super) fn check_items(&self, at: usize, count: u32, size: usize) -> Result<(), Error> {
        let end = (count as usize).checked_mul(size).and_then(|len| len.checked_add(at));
        if end.is_some_and(|end| end <= self.0.len()) { Ok(()) } else { Err(TOO_SHORT) }
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        core::array::from_fn(|i| self.0[at + i])
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.field(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.field(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.field(at))
    }

    pub(super) fn put_u32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    pub(super) fn put_u64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
}

const TOO_SHORT: Error =
    Error::Local(Errno::EFAULT, &"the argument ends before its structure does");
