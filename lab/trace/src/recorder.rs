// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recording: blocks, marks, and which blocks ran between two marks.

use std::fmt::Write;
use std::fs;

/// Instructions that run in sequence.
pub struct Block {
    pub address: u64,
    /// The size of each instruction, in bytes.
    pub sizes: Vec<usize>,
    /// The bytes of the last instruction.
    pub last: Vec<u8>,
}

pub struct Recorder {
    mark: u64,
    first: u64,
    file: String,
    blocks: Vec<Block>,
    /// Number of marks reached.
    marks: u64,
    trace: Vec<usize>,
}

impl Recorder {
    /// Creates one from the plugin's arguments.
    pub fn new(words: &[String]) -> Result<Recorder, String> {
        let value = |key: &str| {
            let found = words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            found.ok_or(format!("no {key}= among {words:?}"))
        };
        let bad = |key: &str| format!("{key} is no number");
        let mark = u64::from_str_radix(value("mark")?, 16).map_err(|_| bad("mark"))?;
        let first = value("first")?.parse().map_err(|_| bad("first"))?;
        let file = value("to")?.to_owned();
        let (blocks, trace) = (Vec::new(), Vec::new());
        Ok(Recorder { mark, first, file, blocks, marks: 0, trace })
    }

    /// Adds a block, and returns its number.
    pub fn add(&mut self, block: Block) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Records an execution of a block.
    pub fn ran(&mut self, block: usize) {
        if self.marks > self.first + 1 {
            return;
        }
        if self.blocks.get(block).is_some_and(|block| block.address == self.mark) {
            self.marks += 1;
            if self.marks == self.first + 2 {
                self.write();
            }
        }
        if self.marks == self.first + 1 {
            self.trace.push(block);
        }
    }

    fn write(&self) {
        let mut text = String::new();
        for (number, Block { address, sizes, last }) in self.blocks.iter().enumerate() {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            let last: String = last.iter().map(|byte| format!("{byte:02x}")).collect();
            // Writing to a String can't fail.
            let _ = writeln!(text, "block {number} {address:x} {} {last}", sizes.join(","));
        }
        for block in &self.trace {
            let _ = writeln!(text, "ran {block}");
        }
        if let Err(error) = fs::write(&self.file, text + "end\n") {
            eprintln!("trace: {}: {error}", self.file);
        }
    }
}
