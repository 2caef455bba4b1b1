// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages that the two exchange: a kind, two arguments, and grant references.
//!
//! In its box a letter is 68 words of 32 bits, little-endian: the kind, the number of references,
//! the two arguments, then room for 64 references. A letter from the peer may hold anything; it is
//! copied out of the page before it is looked at.

use core::fmt;

use drivers::gntalloc::Export;
use drivers::memory::Platform;
use drivers::{ClaimedGrant, DomId, GrantRef};

use super::plan::PAGES;
use crate::verdict::Why;

/// Where the boxes begin in the control page, the granter's first. A box is the letter's number,
/// written last, and the letter at [`WORDS_AT`].
pub const BOXES: [usize; 2] = [0, 2048];
/// Where a letter begins in its box, in bytes.
pub const WORDS_AT: usize = 16;
/// Words before the references.
const HEAD: usize = 4;
/// The most references in a letter.
const REFS: usize = PAGES as usize;

/// What a letter asks for, by number. An answer has the kind of its question.
pub mod kind {
    /// Map these pages; answer with their CRC-32 and the number of map hypercalls.
    pub const SHARE: u32 = 1;
    /// Fill them from the seed; answer with the CRC-32.
    pub const FILL: u32 = 2;
    /// Try to map this read-only page as writable, and to write to it; answer with its CRC-32 and
    /// Xen's status.
    pub const READONLY: u32 = 3;
    /// Bind this port, and answer this many events with one each.
    pub const EVENTS: u32 = 4;
    /// Connect to the granter's channel and, after answering, read this many bytes from it.
    pub const RING: u32 = 5;
    /// Answer with the CRC-32 of what was read from it.
    pub const RING_END: u32 = 6;
    /// Unmap what is mapped.
    pub const UNMAP: u32 = 7;
    /// Map these pages and keep them mapped.
    pub const HOLD: u32 = 8;
    /// Unmap them: the granter has released them in the meantime.
    pub const LET_GO: u32 = 9;
    /// Map this page, with a notification that clears this byte and sends an event.
    pub const NOTIFY: u32 = 10;
    /// Unmap it.
    pub const CLOSE: u32 = 11;
    /// Print the result of this step: its number, and 1 if it passed.
    pub const TELL: u32 = 12;
    /// The run is over.
    pub const FINISH: u32 = 13;
    /// The answer if the mapper can't do what was asked.
    pub const FAILED: u32 = 14;
}

/// A letter, in memory of our own.
#[derive(Clone, Copy)]
pub struct Letter([u32; HEAD + REFS]);

impl Letter {
    /// A letter without references.
    pub fn new(kind: u32, args: &[u32; 2]) -> Self {
        let mut words = [0; HEAD + REFS];
        words[0] = kind;
        words[2..4].copy_from_slice(args);
        Self(words)
    }

    /// A letter from any words, at most 68; the rest is 0.
    ///
    /// # Panics
    /// If there are more.
    pub fn of_words(head: &[u32]) -> Self {
        let mut words = [0; HEAD + REFS];
        words[..head.len()].copy_from_slice(head);
        Self(words)
    }

    /// A letter with the references of an export, the first 64 of them.
    pub fn of<X: Platform>(kind: u32, args: &[u32; 2], export: &Export<X>) -> Self {
        let mut letter = Self::new(kind, args);
        let (head, refs) = letter.0.split_at_mut(HEAD);
        for (word, gref) in refs.iter_mut().zip(export.grefs()) {
            *word = gref.0;
            head[1] += 1;
        }
        letter
    }

    /// Bytes of a letter in its box.
    pub const LEN: usize = 4 * (HEAD + REFS);

    /// Its bytes, as they are in the box.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (to, word) in bytes.chunks_exact_mut(4).zip(self.0) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// A letter from arbitrary bytes.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut words = [0; HEAD + REFS];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*from);
        }
        Self(words)
    }

    /// Its kind.
    pub fn kind(&self) -> u32 {
        self.0[0]
    }

    /// One of its arguments.
    ///
    /// # Panics
    /// Unless `at` is 0 or 1.
    pub fn arg(&self, at: usize) -> u32 {
        self.0[2 + at]
    }

    /// Its references, as `domid` claims them, and how many there are.
    ///
    /// # Errors
    /// If it claims to have more than 64.
    pub fn grants(&self, domid: DomId) -> Result<([ClaimedGrant; REFS], usize), Why> {
        let count = self.0[1] as usize;
        if count > REFS {
            return Err(Why::new(format_args!("a letter claims {count} references")));
        }
        let claim = |gref: &u32| domid.grant(GrantRef(*gref));
        Ok((core::array::from_fn(|at| claim(&self.0[HEAD + at])), count))
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Letter").field(&&self.0[..HEAD]).finish()
    }
}
