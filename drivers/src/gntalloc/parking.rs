// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that only the peer holds: kept until it lets go, and tried again a few at a time.
//!
//! They stay charged to the limit, otherwise a peer could make us pin any amount (seed bug GA24).
//! Room for a piece is made before it is granted, so that parking can't fail.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Error;
use crate::grant_table::Granted;

/// What was let go of at once.
#[derive(Debug)]
pub(super) enum Parked {
    /// One page.
    Page(Granted),
    /// Several, the one that is tried next first.
    Run(VecDeque<Granted>),
}

impl Parked {
    pub(super) fn run(run: Vec<Granted>) -> Self {
        Self::Run(run.into())
    }
}

/// Parked pages, the longest parked first.
#[derive(Debug)]
pub(super) struct Parking {
    /// Has room for everything that may still be parked.
    queue: VecDeque<Parked>,
    /// Pages in it.
    pages: u32,
    /// Pieces that may still be parked.
    expected: usize,
}

impl Parking {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new(), pages: 0, expected: 0 }
    }

    /// Pages that are parked.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Makes room for `pieces` more that may be parked.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn make_room(&mut self, pieces: u32) -> Result<(), Error> {
        let expected = self.expected + pieces as usize;
        self.queue.try_reserve(expected).map_err(|_| Error::NO_MEMORY)?;
        self.expected = expected;
        Ok(())
    }

    /// So many pieces will not be parked.
    pub(super) fn give_room(&mut self, pieces: u32) {
        self.expected -= pieces as usize;
        self.trim();
    }

    /// An empty queue gives its memory back, so that the heap shows what is in use.
    fn trim(&mut self) {
        if self.expected == 0 && self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Keeps a piece, for which there is room; whether it was one, since an empty one is none.
    pub(super) fn park(&mut self, parked: Parked) -> bool {
        let pages = match &parked {
            Parked::Page(_) => 1,
            Parked::Run(run) => run.len() as u32,
        };
        if pages == 0 {
            self.give_room(1);
            return false;
        }
        self.expected -= 1;
        self.pages += pages;
        self.queue.push_back(parked);
        true
    }

    /// Has `end` try at most `max` pages; those that it gives back stay. Returns how many went.
    pub(super) fn retry(
        &mut self,
        max: u32,
        mut end: impl FnMut(Granted) -> Result<(), Granted>,
    ) -> u32 {
        let before = self.pages;
        let mut tries = max.min(before) as usize;
        while tries > 0 {
            let rest = match self.queue.pop_front() {
                None => break,
                Some(Parked::Page(granted)) => {
                    tries -= 1;
                    let kept = end(granted).err();
                    self.pages -= u32::from(kept.is_none());
                    kept.map(Parked::Page)
                }
                Some(Parked::Run(mut run)) => {
                    let now = tries.min(run.len());
                    tries -= now;
                    for _ in 0..now {
                        match run.pop_front().map(&mut end) {
                            Some(Err(granted)) => run.push_back(granted),
                            Some(Ok(())) => self.pages -= 1,
                            None => break,
                        }
                    }
                    (!run.is_empty()).then_some(Parked::Run(run))
                }
            };
            self.queue.extend(rest);
        }
        self.trim();
        before - self.pages
    }
}
