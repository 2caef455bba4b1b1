// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random operations from a seed, the same on every machine.

use alloc::vec::Vec;

use crate::Op;

/// Returns the seed of sequence `number`, counted from 0, in a run that began with `first`.
pub fn seed_of(first: u64, number: u64) -> u64 {
    first.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Draws `length` operations.
pub fn sequence(seed: u64, length: usize) -> Vec<Op> {
    let mut random = Random(seed | 1);
    (0..length).map(|_| random.next().to_le_bytes()).collect()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}
