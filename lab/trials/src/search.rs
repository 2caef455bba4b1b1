// SPDX-License-Identifier: MIT OR Apache-2.0
//! Searches all of a guest's memory for secrets, without knowing them.
//!
//! The searcher has only images of a secret: each of its four words times an odd factor. Memory is
//! read word by word and never copied, or the search would find itself.
//!
//! It finds 32 bytes at any address, even across two frames.

use alloc::vec::Vec;
use core::ops::Range;

use drivers::memory::PAGE_SIZE;

/// Bytes of a secret.
pub const LEN: usize = 32;

/// Images of secrets.
#[derive(Debug)]
pub struct Needles {
    factor: u64,
    images: Vec<[u64; LEN / 8]>,
}

/// What was searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Frames.
    pub frames: usize,
    /// Frames that are not mapped, so can't be read.
    pub absent: usize,
}

impl Needles {
    /// Parses words of hexadecimal digits: the factor, then one word per secret with its images,
    /// first to last. `None` for anything else, an even factor, or if memory runs out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let factor = words.next().and_then(number).filter(|factor| factor % 2 == 1)?;
        let mut images = Vec::new();
        for word in words {
            let mut image = [0; LEN / 8];
            if word.len() != 2 * LEN {
                return None;
            }
            for (at, place) in image.iter_mut().enumerate() {
                *place = number(word.get(16 * at..16 * at + 16)?)?;
            }
            images.try_reserve(1).ok()?;
            images.push(image);
        }
        Some(Self { factor, images })
    }

    /// Reconstructs the first secret from its images, for the code that should hold it.
    pub fn first(&self, secret: &mut [u8; LEN]) {
        // Newton's iteration for the inverse modulo 2^64: each round doubles the number of correct
        // bits.
        let double = |inverse: u64, _| {
            inverse.wrapping_mul(2_u64.wrapping_sub(self.factor.wrapping_mul(inverse)))
        };
        let inverse = (0..6).fold(self.factor, double);
        let images = self.images.first().into_iter().flatten();
        for (place, image) in secret.chunks_exact_mut(8).zip(images) {
            place.copy_from_slice(&image.wrapping_mul(inverse).to_le_bytes());
        }
    }

    /// Searches `frames`, given by their addresses in physical order, and calls `found` with each
    /// secret's place in the list and its address. `load` reads four bytes at an address that is a
    /// multiple of four. `None` if there is no memory for a list.
    pub fn look(
        &self,
        frames: impl Iterator<Item = Option<usize>>,
        load: &dyn Fn(usize) -> u32,
        found: &mut dyn FnMut(usize, usize),
    ) -> Option<Looked> {
        let mut looked = Looked::default();
        let mut runs: Vec<Range<usize>> = Vec::new();
        for frame in frames {
            let Some(start) = frame else {
                looked.absent += 1;
                continue;
            };
            looked.frames += 1;
            match runs.last_mut() {
                Some(run) if run.end == start => run.end += PAGE_SIZE,
                _ => {
                    runs.try_reserve(1).ok()?;
                    runs.push(start..start + PAGE_SIZE);
                }
            }
        }
        runs.into_iter().for_each(|run| self.look_through(run, load, found));
        Some(looked)
    }

    fn look_through(
        &self,
        run: Range<usize>,
        load: &dyn Fn(usize) -> u32,
        found: &mut dyn FnMut(usize, usize),
    ) {
        // Eight bytes at each of four addresses lie in three words.
        let part = |address: usize, at: u32| u128::from(load(address)) << (32 * at);
        let mut before = part(run.start, 0) | part(run.start + 4, 1);
        for start in (run.start..=run.end - LEN).step_by(4) {
            let words = before | part(start + 8, 2);
            before = words >> 32;
            for offset in 0..4 {
                let image = self.image((words >> (8 * offset)) as u64);
                let address = start + offset;
                for (which, needle) in self.images.iter().enumerate() {
                    if needle[0] == image
                        && address + LEN <= run.end
                        && self.is_at(needle, address, load)
                    {
                        found(which, address);
                    }
                }
            }
        }
    }

    fn is_at(&self, needle: &[u64], address: usize, load: &dyn Fn(usize) -> u32) -> bool {
        let word = |address: usize| {
            let start = address & !3;
            let part = |at: usize| u128::from(load(start + 4 * at)) << (32 * at);
            // At a multiple of four the third word isn't needed, and may lie beyond the end.
            let third = if address == start { 0 } else { part(2) };
            ((part(0) | part(1) | third) >> (8 * (address - start))) as u64
        };
        needle.iter().enumerate().all(|(at, &image)| self.image(word(address + 8 * at)) == image)
    }

    fn image(&self, word: u64) -> u64 {
        word.wrapping_mul(self.factor)
    }
}

fn number(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}
