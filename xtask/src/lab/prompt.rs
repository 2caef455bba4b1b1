// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is typed at the guests' prompts, and what they say.
//!
//! A *mark* is how much a guest had said at some moment: what is looked for lies behind it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::console::whole_lines;
use super::running::{Lab, PATIENCE};
use crate::judge::counts::Counts;
use crate::judge::reply::Reply;

impl Lab {
    /// The whole lines of what a guest said.
    pub fn lines(&self, guest: &str) -> Vec<String> {
        self.lines_from(guest, 0)
    }

    /// The whole lines of what a guest said from `mark` on.
    pub fn lines_from(&self, guest: &str, mark: usize) -> Vec<String> {
        whole_lines(&self.said(guest)[mark..])
    }

    /// Types on a guest's console.
    pub fn type_on(&mut self, guest: &str, bytes: &[u8]) -> Result<()> {
        self.send(&format!("type.{guest}"), bytes)
    }

    /// Types a command at a guest's prompt, and returns the mark that its answer lies behind.
    pub fn command(&mut self, guest: &str, command: &str) -> Result<usize> {
        let mark = self.said(guest).len();
        self.type_on(guest, format!("{command}\r").as_bytes())?;
        Ok(mark)
    }

    /// The result line that a guest wrote behind `mark`.
    pub fn answer(&mut self, guest: &str, mark: usize, limit: Duration) -> Result<String> {
        let result = |lab: &Lab| {
            let lines = lab.lines_from(guest, mark);
            lines.into_iter().find(|line| Reply::parse(line).is_some())
        };
        self.until(limit, result).with_context(|| format!("no answer from {guest}"))
    }

    /// Types a command at a guest's prompt and returns its result line, `ok` or not.
    pub fn answered(&mut self, guest: &str, command: &str) -> Result<String> {
        let mark = self.command(guest, command)?;
        self.answer(guest, mark, PATIENCE).with_context(|| format!("`{command}`"))
    }

    /// Types a command at a guest's prompt and returns its `ok` line.
    pub fn ask(&mut self, guest: &str, command: &str) -> Result<String> {
        let line = self.answered(guest, command)?;
        ensure!(line.starts_with("ok "), "{guest} answered `{command}` with: {line}");
        Ok(line)
    }

    /// What a guest counts.
    pub fn counts(&mut self, guest: &str) -> Result<Counts> {
        Counts::of(&self.ask(guest, "status")?)
    }

    /// Types a command that must be refused; the errno and the words it is refused with.
    pub fn refused(&mut self, guest: &str, command: &str) -> Result<String> {
        let line = self.answered(guest, command)?;
        let Some((_, words)) = line.split_once(" errno=") else {
            bail!("{guest} did not refuse `{command}`: {line}");
        };
        ensure!(line.starts_with("error "), "{line}");
        Ok(words.to_owned())
    }

    /// Waits for a line with these words behind `mark`.
    pub fn says(&mut self, guest: &str, mark: usize, words: &str) -> Result<String> {
        let said =
            |lab: &Lab| lab.lines_from(guest, mark).into_iter().find(|line| line.contains(words));
        self.until(PATIENCE, said).with_context(|| format!("{guest} does not say `{words}`"))
    }
}
