// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds runs of free indices, for a device's index space or for addresses.
//!
//! It has a bit per index, and a segment tree over words of 64 bits, whose nodes know the free run
//! at their start, the one at their end, and the longest inside. Finding a run of `n` costs O(log
//! size); taking it or giving it back costs O(n / 64 + log size). It grows by doubling, and only
//! fallibly; giving back never allocates.

use alloc::vec::Vec;
use core::ops::Range;

use crate::raw::lengthen;

/// Indices per word.
const WORD: u32 = u64::BITS;

/// The free runs below one node of the tree.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The length of the free run that begins at the node's first index.
    prefix: u32,
    /// The length of the free run that ends at the node's last index.
    suffix: u32,
    /// The length of the longest free run.
    longest: u32,
}

impl Node {
    /// Creates the leaf of one word, in which free indices are ones.
    fn of(word: u64) -> Node {
        let (prefix, suffix) = (word.trailing_ones(), word.leading_ones());
        let (mut longest, mut rest) = (0, word);
        while rest != 0 {
            rest >>= rest.trailing_zeros();
            let run = rest.trailing_ones();
            longest = longest.max(run);
            rest = rest.checked_shr(run).unwrap_or(0);
        }
        Node { prefix, suffix, longest }
    }

    /// Creates the node above two neighbors that cover `half` indices each.
    fn join(left: Node, right: Node, half: u32) -> Node {
        let through = left.suffix + right.prefix;
        Node {
            prefix: if left.prefix == half { half + right.prefix } else { left.prefix },
            suffix: if right.suffix == half { half + left.suffix } else { right.suffix },
            longest: left.longest.max(right.longest).max(through),
        }
    }
}

/// Tracks which indices below a limit are free, by runs.
#[derive(Debug)]
pub struct RunTree {
    /// The bits, as many words as the tree has leaves.
    words: Vec<u64>,
    /// A heap-ordered tree: the root at 1, the leaves in its second half.
    nodes: Vec<Node>,
    limit: u32,
}

impl RunTree {
    /// Creates a tree in which every index below `limit` is free, without allocating. `limit` is at
    /// most 2^30.
    pub const fn new(limit: u32) -> Self {
        Self { words: Vec::new(), nodes: Vec::new(), limit }
    }

    /// Returns the number of indices that the tree covers at the moment.
    fn capacity(&self) -> u32 {
        self.words.len() as u32 * WORD
    }

    /// Takes the lowest run of `n` free indices, at least 1, and returns its first index.
    ///
    /// `None` if there is none, or no memory to cover more of the space.
    pub fn take(&mut self, n: u32) -> Option<u32> {
        if n == 0 || n > self.limit {
            return None;
        }
        loop {
            if let Some(start) = self.find(n) {
                // A run that can't be marked is not handed out.
                return self.set(start..start + n, false).map(|()| start);
            }
            self.grow(n)?;
        }
    }

    /// Gives back a taken run, or any part of one.
    pub fn give(&mut self, run: Range<u32>) {
        let set = self.set(run, true);
        debug_assert!(set.is_some(), "given back, and never taken");
    }

    fn find(&self, n: u32) -> Option<u32> {
        if self.nodes.get(1)?.longest < n {
            return None;
        }
        let (mut node, mut first, mut half) = (1, 0, self.capacity() / 2);
        while half >= WORD {
            let (left, right) = self.below(node);
            if left.longest >= n {
                node *= 2;
            } else if left.suffix + right.prefix >= n {
                return Some(first + half - left.suffix);
            } else {
                node = 2 * node + 1;
                first += half;
            }
            half /= 2;
        }
        let word = self.words.get((first / WORD) as usize)?;
        Some(first + first_run(*word, n))
    }

    /// Returns the two nodes below one; a missing node has nothing free.
    fn below(&self, node: usize) -> (Node, Node) {
        let at = |node| self.nodes.get(node).copied().unwrap_or_default();
        (at(2 * node), at(2 * node + 1))
    }

    /// Recomputes each node of one level from the two below it.
    fn join(&mut self, level: Range<usize>, half: u32) {
        for node in level {
            let (left, right) = self.below(node);
            if let Some(place) = self.nodes.get_mut(node) {
                *place = Node::join(left, right, half);
            }
        }
    }

    /// Marks a run as free or taken; `None`, with nothing changed, for one that the tree doesn't
    /// cover.
    fn set(&mut self, run: Range<u32>, free: bool) -> Option<()> {
        if run.is_empty() || run.end > self.capacity() {
            return None;
        }
        let leaves = self.words.len();
        let (low, end) = ((run.start / WORD) as usize, run.end.div_ceil(WORD) as usize);
        let words = self.words.get_mut(low..end)?;
        let nodes = self.nodes.get_mut(leaves + low..leaves + end)?;
        let mut first = low as u32 * WORD;
        for (word, leaf) in words.iter_mut().zip(nodes) {
            let mask = bits(run.start.saturating_sub(first), (run.end - first).min(WORD));
            *word = if free { *word | mask } else { *word & !mask };
            *leaf = Node::of(*word);
            first += WORD;
        }
        self.join_above(low + leaves..end + leaves);
        Some(())
    }

    /// Recomputes all nodes above some leaves.
    fn join_above(&mut self, leaves: Range<usize>) {
        let (mut low, mut end, mut half) = (leaves.start, leaves.end, WORD);
        while low > 1 && low < end {
            (low, end) = (low / 2, end.div_ceil(2));
            self.join(low..end, half);
            half *= 2;
        }
    }

    /// Grows to at least twice the size, and by at least `n`; `None` at the limit or if memory runs
    /// out.
    fn grow(&mut self, n: u32) -> Option<()> {
        let old = self.words.len();
        if self.capacity() >= self.limit {
            return None;
        }
        let wanted = (2 * old).max(old + n.div_ceil(WORD) as usize).next_power_of_two();
        let leaves = wanted.min(self.limit.div_ceil(WORD).next_power_of_two() as usize);
        let mut nodes = Vec::new();
        lengthen(&mut nodes, 2 * leaves, Node::default()).ok()?;
        lengthen(&mut self.words, leaves, 0).ok()?;
        self.nodes = nodes;
        for (place, word) in self.words.iter_mut().enumerate().skip(old) {
            // Indices beyond the limit are never free.
            let first = place as u32 * WORD;
            *word = bits(0, self.limit.saturating_sub(first).min(WORD));
        }
        for (leaf, word) in self.nodes.iter_mut().skip(leaves).zip(&self.words) {
            *leaf = Node::of(*word);
        }
        self.join_above(leaves..2 * leaves);
        Some(())
    }
}

/// Returns a word with the bits from `start` up to `end` set, at most 64.
fn bits(start: u32, end: u32) -> u64 {
    let below = |end| u64::MAX.checked_shr(WORD - end).unwrap_or(0);
    below(end) & !below(start)
}

/// Returns the position of the lowest run of `n` ones, in a word that has one.
fn first_run(word: u64, n: u32) -> u32 {
    // Each step leaves only the ones that begin a run of `known`.
    let (mut starts, mut known) = (word, 1);
    while known < n.min(WORD) {
        let step = known.min(n - known);
        starts &= starts >> step;
        known += step;
    }
    starts.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The same by a linear search.
    struct Naive(Vec<bool>);

    impl Naive {
        fn take(&mut self, n: usize) -> Option<u32> {
            let start = self.0.windows(n).position(|run| run.iter().all(|free| *free))?;
            self.0[start..start + n].fill(false);
            Some(start as u32)
        }
    }

    #[test]
    fn takes_the_lowest_run_that_fits_as_a_linear_search_does() {
        for limit in [1u32, 2, 7, 63, 64, 65, 100, 300] {
            let (mut tree, mut naive) = (RunTree::new(limit), Naive(vec![true; limit as usize]));
            let mut held: Vec<Range<u32>> = Vec::new();
            let mut seed = u64::from(limit);
            for _ in 0..if cfg!(miri) { 60 } else { 3000 } {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let (coin, pick) = ((seed >> 33) as usize, (seed >> 40) as u32);
                if coin.is_multiple_of(2) || held.is_empty() {
                    let n = pick % (limit / 2 + 1) + 1;
                    let start = tree.take(n);
                    assert_eq!(start, naive.take(n as usize), "limit {limit}, run of {n}");
                    held.extend(start.map(|start| start..start + n));
                } else {
                    let run = held.swap_remove(pick as usize % held.len());
                    // Sometimes give back only a part.
                    let keep = if coin % 3 == 0 { run.len() as u32 / 2 } else { 0 };
                    let given = run.start + keep..run.end;
                    tree.give(given.clone());
                    naive.0[given.start as usize..given.end as usize].fill(true);
                    held.extend((keep > 0).then_some(run.start..run.start + keep));
                }
            }
        }
    }

    fn is_all_free(tree: &RunTree) -> bool {
        tree.nodes.get(1).is_none_or(|root| root.longest == tree.capacity().min(tree.limit))
    }

    #[test]
    fn nothing_beyond_the_limit_is_handed_out() {
        let mut tree = RunTree::new(5);
        assert_eq!(tree.take(6), None);
        assert_eq!(tree.take(0), None);
        assert_eq!(tree.take(5), Some(0));
        assert_eq!(tree.take(1), None);
        assert!(!is_all_free(&tree));
        tree.give(3..5);
        assert_eq!(tree.take(2), Some(3));
        tree.give(0..5);
        assert!(is_all_free(&tree));
    }
}
