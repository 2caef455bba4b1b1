// SPDX-License-Identifier: MIT OR Apache-2.0
//! The count: how many instructions of Xen's, of the guest's image and of anything else had run
//! when a mark was reached; and how often each block ran between a mark at the address `from` and
//! the next.
//!
//! Counting is done by instructions that QEMU puts into each block, so that it slows nothing down.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::marks::{Block, Words};

/// The part of the address space that belongs to Xen.
const XEN: Range<u64> = 0xffff_8000_0000_0000..0xffff_8800_0000_0000;
/// Instructions of Xen's, of the image's, and others.
static WHOSE: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

pub struct Counter {
    marks: Vec<u64>,
    from: u64,
    image: Range<u64>,
    to: File,
    /// All blocks, and how often each ran. Never freed, since QEMU's code adds to it.
    blocks: Vec<(Block, &'static AtomicU64)>,
    /// How often each had run at the mark `from`, if that was the last mark.
    since: Option<Vec<u64>>,
}

/// What a new block adds to, and by how much.
pub type Adds = [(&'static AtomicU64, u64); 2];

impl Counter {
    /// Creates one from the plugin's arguments.
    pub fn new(words: &Words) -> Result<Counter, String> {
        let marks = words.addresses("marks")?;
        let [from, start, end] = ["from", "start", "end"].map(|key| words.addresses(key));
        let one = |list: Result<Vec<u64>, String>| Ok::<_, String>(list?[0]);
        let (from, image) = (one(from)?, one(start)?..one(end)?);
        let file = words.value("to")?;
        let to = File::create(file).map_err(|error| format!("{file}: {error}"))?;
        Ok(Counter { marks, from, image, to, blocks: vec![], since: None })
    }

    /// Adds a block. Returns what its executions add to, and its number if it is a mark.
    pub fn add(&mut self, block: Block) -> (Adds, Option<usize>) {
        let whose = match block.address {
            at if XEN.contains(&at) => 0,
            at if self.image.contains(&at) => 1,
            _ => 2,
        };
        let own: &AtomicU64 = Box::leak(Box::default());
        let adds = [(&WHOSE[whose], block.sizes.len() as u64), (own, 1)];
        let is_mark = self.marks.contains(&block.address);
        self.blocks.push((block, own));
        (adds, is_mark.then_some(self.blocks.len() - 1))
    }

    /// Writes down what had run when a mark was reached.
    pub fn reached(&mut self, block: usize) {
        let Some((Block { address, .. }, _)) = self.blocks.get(block) else { return };
        let [xen, image, others] = WHOSE.each_ref().map(|count| count.load(Ordering::Relaxed));
        let mut text = String::new();
        for (number, (block, own)) in self.blocks.iter().enumerate() {
            let Some(since) = &self.since else { break };
            let before = since.get(number).copied().unwrap_or(0);
            let times = own.load(Ordering::Relaxed) - before;
            if times > 0 {
                // Writing to a String can't fail.
                let _ = writeln!(text, "ran {times} {:x} {}", block.address, block.sizes());
            }
        }
        let _ = writeln!(text, "mark {address:x} {xen} {image} {others}");
        let is_from = *address == self.from;
        let counts = || self.blocks.iter().map(|(_, own)| own.load(Ordering::Relaxed)).collect();
        self.since = is_from.then(counts);
        if let Err(error) = self.to.write_all(text.as_bytes()) {
            eprintln!("trace: {error}");
        }
    }
}
