// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types commands at the guests' prompts, and reads their answers.
//!
//! A *mark* is the length of a guest's output at some moment; searches start from it.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::console::whole_lines;
use super::running::{Lab, PATIENCE};
use crate::judge::counts::Counts;
use crate::judge::reply::Reply;

impl Lab {
    /// The complete lines of a guest's output.
    pub fn lines(&self, guest: &str) -> Vec<String> {
        self.lines_from(guest, 0)
    }

    /// The complete lines of a guest's output from `mark` on.
    pub fn lines_from(&self, guest: &str, mark: usize) -> Vec<String> {
        whole_lines(&self.said(guest)[mark..])
    }

    /// Types on a guest's console.
    pub fn type_on(&mut self, guest: &str, bytes: &[u8]) -> Result<()> {
        self.send(&format!("type.{guest}"), bytes)
    }

    /// Types a command at a guest's prompt, and returns the mark after which its answer comes.
    pub fn command(&mut self, guest: &str, command: &str) -> Result<usize> {
        let mark = self.said(guest).len();
        self.type_on(guest, format!("{command}\r").as_bytes())?;
        Ok(mark)
    }

    /// Waits for the result line that a guest prints after `mark`.
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

    /// A guest's counts, by its `status` command.
    pub fn counts(&mut self, guest: &str) -> Result<Counts> {
        Counts::of(&self.ask(guest, "status")?)
    }

    /// Types a command that must be refused, and returns the errno and the words of the refusal.
    pub fn refused(&mut self, guest: &str, command: &str) -> Result<String> {
        let line = self.answered(guest, command)?;
        let Some((_, words)) = line.split_once(" errno=") else {
            bail!("{guest} did not refuse `{command}`: {line}");
        };
        ensure!(line.starts_with("error "), "{line}");
        Ok(words.to_owned())
    }

    /// Waits for a line that contains `words`, after `mark`.
    pub fn says(&mut self, guest: &str, mark: usize, words: &str) -> Result<String> {
        let said =
            |lab: &Lab| lab.lines_from(guest, mark).into_iter().find(|line| line.contains(words));
        self.until(PATIENCE, said).with_context(|| format!("{guest} did not say `{words}`"))
    }
}
