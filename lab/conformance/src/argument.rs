// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bytes of an ioctl's argument.
//!
//! Little-endian, as on the only architecture that both systems run on. The layouts are in
//! `xen-sys`.

use alloc::vec::Vec;

/// A structure, built field by field.
#[derive(Debug, Default)]
pub(crate) struct Argument(pub(crate) Vec<u8>);

impl Argument {
    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Pads with zeroes up to `len` bytes.
    pub(crate) fn padded(mut self, len: usize) -> Self {
        self.0.resize(len.max(self.0.len()), 0);
        self
    }

    /// The number at `at`.
    pub(crate) fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(core::array::from_fn(|i| self.0[at + i]))
    }

    /// The number at `at`.
    pub(crate) fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(core::array::from_fn(|i| self.0[at + i]))
    }
}
