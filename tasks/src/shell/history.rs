// SPDX-License-Identifier: MIT OR Apache-2.0
//! The history: lines typed before, up to a total size.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use drivers::list;

/// Maximum total size in bytes.
const KEPT: usize = 8192;

/// Earlier lines, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    lines: VecDeque<Vec<u8>>,
    /// The index of the line shown; `lines.len()` for the one being typed.
    at: usize,
    /// The line being typed, while an earlier one is shown.
    draft: Vec<u8>,
}

impl History {
    pub(crate) const fn new() -> Self {
        Self { lines: VecDeque::new(), at: 0, draft: Vec::new() }
    }

    /// Adds a line, unless it is empty or equal to the last one. If memory runs out, it is dropped.
    pub(crate) fn add(&mut self, line: &[u8]) {
        let known = self.lines.back().is_some_and(|last| last == line);
        if !line.is_empty()
            && !known
            && self.lines.try_reserve(1).is_ok()
            && let Some(line) = copy(line)
            && self.lines.len() < self.lines.capacity()
        {
            self.lines.push_back(line);
        }
        while self.lines.iter().map(Vec::len).sum::<usize>() > KEPT {
            self.lines.pop_front();
        }
        self.rewind();
    }

    /// Returns to the line being typed.
    pub(crate) fn rewind(&mut self) {
        self.at = self.lines.len();
    }

    /// The newest line containing `text`, after skipping `skip` of them.
    pub(crate) fn find(&self, text: &[u8], skip: usize) -> Option<&[u8]> {
        let has = |line: &&Vec<u8>| {
            text.is_empty() || line.windows(text.len()).any(|window| window == text)
        };
        self.lines.iter().rev().filter(has).nth(skip).map(Vec::as_slice)
    }

    /// The line before the one shown, which is `current`.
    pub(crate) fn older(&mut self, current: &[u8]) -> Option<Vec<u8>> {
        let older = copy(self.lines.get(self.at.checked_sub(1)?)?)?;
        if self.at == self.lines.len() {
            self.draft = copy(current)?;
        }
        self.at -= 1;
        Some(older)
    }

    /// The line after the one shown.
    pub(crate) fn newer(&mut self, _current: &[u8]) -> Option<Vec<u8>> {
        if self.at >= self.lines.len() {
            return None;
        }
        self.at += 1;
        match self.lines.get(self.at) {
            Some(newer) => copy(newer),
            None => Some(core::mem::take(&mut self.draft)),
        }
    }
}

/// A copy of a line; `None` if memory runs out.
pub(crate) fn copy(line: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(line.len()).ok()?;
    list::extend(&mut copy, line.iter().copied()).ok()?;
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_are_forgotten_first() {
        let mut history = History::new();
        for n in 0..5 {
            history.add(&[b'a' + n; 2048]);
        }
        let first = |line: Option<Vec<u8>>| line.map(|line| line[0]);
        for expected in [Some(b'e'), Some(b'd'), Some(b'c'), Some(b'b'), None] {
            assert_eq!(first(history.older(b"")), expected);
        }
    }

    #[test]
    fn the_same_line_twice_in_a_row_is_one() {
        let mut history = History::new();
        history.add(b"status");
        history.add(b"status");
        history.add(b"");
        assert_eq!(history.older(b"draft").as_deref(), Some(&b"status"[..]));
        assert_eq!(history.older(b"status"), None);
        assert_eq!(history.newer(b"status").as_deref(), Some(&b"draft"[..]));
        assert_eq!(history.newer(b"draft"), None);
    }
}
