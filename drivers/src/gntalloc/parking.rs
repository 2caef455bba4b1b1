// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that only the peer still holds: kept until it unmaps them, and tried a few at a time.
//!
//! They stay charged to the limit; otherwise a peer could make us pin any amount of memory (the
//! seed's bug GA24). Room for a piece is made before it is granted, so parking can't fail.

use alloc::collections::VecDeque;

use crate::Error;
use crate::few::Few;
use crate::grant_table::Granted;
use crate::queue::Queue;

/// A piece: what was released at once.
#[derive(Debug)]
pub(super) enum Parked {
    /// One page.
    Page(Granted),
    /// Several pages, the next to try first.
    Run(VecDeque<Granted>),
}

impl Parked {
    pub(super) fn run(run: Few<Granted>) -> Self {
        match run {
            Few::One(granted) => Self::Page(granted),
            Few::Many(run) => Self::Run(run.into()),
        }
    }
}

/// Parked pages, the longest parked first.
#[derive(Debug)]
pub(super) struct Parking {
    /// With room for everything that may still be parked.
    queue: Queue<Parked>,
    /// The number of pages in `queue`.
    pages: u32,
    /// The number of pieces that may still be parked.
    expected: usize,
}

impl Parking {
    pub(super) fn new() -> Self {
        Self { queue: Queue::new(), pages: 0, expected: 0 }
    }

    /// Returns how many pages are parked.
    pub(super) fn pages(&self) -> u32 {
        self.pages
    }

    /// Makes room to park `pieces` more.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn make_room(&mut self, pieces: u32) -> Result<(), Error> {
        let expected = self.expected + pieces as usize;
        self.queue.make_room(expected)?;
        self.expected = expected;
        Ok(())
    }

    /// Gives back the room of `pieces` that won't be parked.
    pub(super) fn give_room(&mut self, pieces: u32) {
        self.expected -= pieces as usize;
        self.trim();
    }

    /// Frees the memory of an empty queue, so that the heap shows what is in use.
    fn trim(&mut self) {
        if self.expected == 0 {
            self.queue.trim();
        }
    }

    /// Parks a piece, for which there is room. Returns false if it has no pages.
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
        self.queue.push(parked);
        true
    }

    /// Calls `end` on at most `max` pages; those that it returns stay parked. Returns how many were
    /// freed.
    pub(super) fn retry(
        &mut self,
        max: u32,
        mut end: impl FnMut(Granted) -> Result<(), Granted>,
    ) -> u32 {
        let before = self.pages;
        let mut tries = max.min(before) as usize;
        while tries > 0 {
            let rest = match self.queue.pop() {
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
            if let Some(rest) = rest {
                self.queue.push(rest);
            }
        }
        self.trim();
        before - self.pages
    }
}
