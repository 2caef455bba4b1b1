// SPDX-License-Identifier: MIT OR Apache-2.0
//! `io/console.h`: the page shared with the console daemon.

use core::sync::atomic::{AtomicU8, AtomicU32};

/// The console's two rings.
///
/// Indices run freely over 32 bits; the position is the index modulo the ring's size. A producer
/// writes the bytes first and then its index. Check the other side's indices before use.
#[doc(alias = "xencons_interface")]
#[repr(C)]
#[derive(Debug)]
pub struct XenconsInterface {
    /// Bytes to the guest. The C header's `in`.
    #[doc(alias = "in")]
    pub input: [AtomicU8; 1024],
    /// Bytes from the guest. The C header's `out`.
    #[doc(alias = "out")]
    pub output: [AtomicU8; 2048],
    /// The total bytes taken from `input`; written by the guest.
    pub in_cons: AtomicU32,
    /// The total bytes put into `input`; written by the daemon.
    pub in_prod: AtomicU32,
    /// The total bytes taken from `output`; written by the daemon.
    pub out_cons: AtomicU32,
    /// The total bytes put into `output`; written by the guest.
    pub out_prod: AtomicU32,
}
layout!(XenconsInterface: 3088 {
    input: 0, output: 1024, in_cons: 3072, in_prod: 3076, out_cons: 3080, out_prod: 3084,
});

impl XenconsInterface {
    /// Returns empty rings: all zero.
    pub const fn new() -> Self {
        Self {
            input: [const { AtomicU8::new(0) }; 1024],
            output: [const { AtomicU8::new(0) }; 2048],
            in_cons: AtomicU32::new(0),
            in_prod: AtomicU32::new(0),
            out_cons: AtomicU32::new(0),
            out_prod: AtomicU32::new(0),
        }
    }
}

impl Default for XenconsInterface {
    fn default() -> Self {
        Self::new()
    }
}
