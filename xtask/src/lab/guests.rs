//! What is done with a lab's guests: what `xl` does to them, and what is said at their prompts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Lab, PATIENCE};
use crate::console::whole_lines;
use crate::judge::Reply;

impl Lab {
    /// The versions of Xen and Linux.
    pub fn versions(&self) -> (&str, &str) {
        let value = |key| self.versions.split(' ').find_map(|word| word.strip_prefix(key));
        (value("xen=").unwrap_or("?"), value("linux=").unwrap_or("?"))
    }

    /// Runs `xl` in the folder with the guests' files; its output if it succeeded.
    pub fn xl(&mut self, words: &[&str]) -> Result<String> {
        let program = self.start(&[&["xl"], words].concat())?;
        self.finish(program).with_context(|| format!("`xl {}`", words.join(" ")))
    }

    /// Starts a program, and returns the number that stands for it.
    pub fn start(&mut self, words: &[&str]) -> Result<u32> {
        self.programs += 1;
        self.line.send(&format!("run.{}", self.programs), words.join("\0").as_bytes())?;
        Ok(self.programs)
    }

    /// Types on the input of a program that runs.
    pub fn feed(&mut self, program: u32, bytes: &[u8]) -> Result<()> {
        self.line.send(&format!("feed.{program}"), bytes)
    }

    /// What a program wrote so far.
    pub fn output(&self, program: u32) -> String {
        let said = self.replies.get(&format!("out.{program}"));
        String::from_utf8_lossy(said.map_or(&[], Vec::as_slice)).trim().to_owned()
    }

    /// The whole lines that a program wrote so far.
    pub fn written(&self, program: u32) -> Vec<String> {
        self.replies.get(&format!("out.{program}")).map_or_else(Vec::new, |said| whole_lines(said))
    }

    /// Ends a program that runs with SIGKILL.
    pub fn kill(&mut self, program: u32) -> Result<()> {
        self.line.send(&format!("kill.{program}"), b"")?;
        let status = self.reply(&format!("done.{program}"), PATIENCE)?;
        ensure!(status == "137", "the program ended with status {status}");
        Ok(())
    }

    /// Waits for the end of a program; its output if it succeeded.
    pub fn finish(&mut self, program: u32) -> Result<String> {
        let status = self.reply(&format!("done.{program}"), PATIENCE)?;
        let output = self.output(program);
        ensure!(status == "0", "it ended with status {status}: {output}");
        Ok(output)
    }

    /// The number of the domain with this name, if there is one.
    pub fn domid(&mut self, guest: &str) -> Result<Option<u32>> {
        let channel = format!("domid.{guest}");
        self.line.send(&channel, b"")?;
        Ok(self.reply(&channel, PATIENCE)?.parse().ok())
    }

    /// The value of a xenstore node, as soon as there is one.
    pub fn node(&mut self, path: &str) -> Result<String> {
        let channel = format!("node.{path}");
        self.line.send(&channel, b"")?;
        self.reply(&channel, PATIENCE).with_context(|| format!("no {path}"))
    }

    /// What a daemon of dom0's wrote to its log.
    pub fn daemon(&self, name: &str) -> String {
        let said = self.replies.get(&format!("log.{name}"));
        String::from_utf8_lossy(said.map_or(&[], Vec::as_slice)).into_owned()
    }

    /// Has the toolstack cleared this guest away for good?
    pub fn ended(&self, guest: &str) -> bool {
        let said = self.daemon(&format!("xl-{guest}"));
        ["Done. Exiting now", "has been destroyed."].iter().any(|sign| said.contains(sign))
    }

    /// Types on a guest's console.
    pub fn type_on(&mut self, guest: &str, bytes: &[u8]) -> Result<()> {
        self.line.send(&format!("type.{guest}"), bytes)
    }

    /// Types a command at a guest's prompt, and returns from where on its answer is to be looked for.
    pub fn command(&mut self, guest: &str, command: &str) -> Result<usize> {
        let mark = self.said(guest).len();
        self.type_on(guest, format!("{command}\r").as_bytes())?;
        Ok(mark)
    }

    /// The result line that a guest wrote behind `mark`.
    pub fn answer(&mut self, guest: &str, mark: usize, limit: Duration) -> Result<String> {
        let result = |lab: &Lab| {
            let lines = whole_lines(&lab.said(guest)[mark..]);
            lines.into_iter().find(|line| Reply::parse(line).is_some())
        };
        self.until(limit, result).with_context(|| format!("no answer from {guest}"))
    }

    /// Types a command at a guest's prompt and returns its `ok` line.
    pub fn ask(&mut self, guest: &str, command: &str) -> Result<String> {
        let mark = self.command(guest, command)?;
        let line = self.answer(guest, mark, PATIENCE).with_context(|| format!("`{command}`"))?;
        ensure!(line.starts_with("ok "), "{guest} answered `{command}` with: {line}");
        Ok(line)
    }

    /// All that a guest said.
    pub fn said(&self, guest: &str) -> &[u8] {
        self.guests.get(guest).map_or(&[], |guest| &guest.said)
    }

    /// The whole lines of what a guest said.
    pub fn lines(&self, guest: &str) -> Vec<String> {
        whole_lines(self.said(guest))
    }

    /// The whole lines of what a guest said from `mark` on.
    pub fn lines_from(&self, guest: &str, mark: usize) -> Vec<String> {
        whole_lines(&self.said(guest)[mark..])
    }

    /// Forgets what a guest said, for another one of its name.
    pub fn forget(&mut self, guest: &str) {
        if let Some(guest) = self.guests.get_mut(guest) {
            guest.said.clear();
        }
        self.replies.remove(&format!("log.xl-{guest}"));
    }
}
