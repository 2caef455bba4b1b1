// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recording: which blocks ran, one after the other, between two marks.

use std::fmt::Write;
use std::fs;

use crate::marks::{Block, Words};

pub struct Recorder {
    marks: Vec<u64>,
    first: u64,
    last: u64,
    file: String,
    blocks: Vec<Block>,
    /// Number of marks reached.
    reached: u64,
    trace: Vec<usize>,
}

impl Recorder {
    /// Creates one from the plugin's arguments.
    pub fn new(words: &Words) -> Result<Recorder, String> {
        let (first, last) = (words.number("first")?, words.number("last")?);
        if first >= last {
            return Err("first is not before last".into());
        }
        let (marks, file) = (words.addresses("marks")?, words.value("to")?.to_owned());
        Ok(Recorder { marks, first, last, file, blocks: vec![], reached: 0, trace: vec![] })
    }

    /// Adds a block, and returns its number.
    pub fn add(&mut self, block: Block) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Records an execution of a block.
    pub fn ran(&mut self, block: usize) {
        if self.reached > self.last {
            return;
        }
        if self.blocks.get(block).is_some_and(|block| self.marks.contains(&block.address)) {
            self.reached += 1;
            if self.reached == self.last + 1 {
                return self.write();
            }
        }
        if self.reached > self.first {
            self.trace.push(block);
        }
    }

    fn write(&self) {
        let mut text = String::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let last: String = block.last.iter().map(|byte| format!("{byte:02x}")).collect();
            // Writing to a String can't fail.
            let _ = writeln!(text, "block {number} {:x} {} {last}", block.address, block.sizes());
        }
        for block in &self.trace {
            let _ = writeln!(text, "ran {block}");
        }
        if let Err(error) = fs::write(&self.file, text + "end\n") {
            eprintln!("trace: {}: {error}", self.file);
        }
    }
}
