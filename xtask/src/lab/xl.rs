// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs programs in dom0, above all `xl`, and reads what dom0 knows about guests.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::console::whole_lines;
use super::dom0::OWN;
use super::running::{Lab, PATIENCE};

impl Lab {
    /// Runs `xl` in the folder with the guests' files, and returns its output if it succeeded.
    pub fn xl(&mut self, words: &[&str]) -> Result<String> {
        let program = self.start(&[&["xl"], words].concat())?;
        self.finish(program).with_context(|| format!("`xl {}`", words.join(" ")))
    }

    /// Starts a program, and returns its number.
    pub fn start(&mut self, words: &[&str]) -> Result<u32> {
        let program = self.new_program();
        self.send(&format!("run.{program}"), words.join("\0").as_bytes())?;
        Ok(program)
    }

    /// Starts one of our programs that opens libraries.
    pub fn start_with_libraries(&mut self, program: &str) -> Result<u32> {
        let folder = format!("/{OWN}");
        let loader = format!("{folder}/ld-linux-x86-64.so.2");
        match self.has_own_libraries() {
            true => self.start(&[&loader, "--library-path", &folder, program]),
            false => self.start(&[program]),
        }
    }

    /// Writes to the input of a running program.
    pub fn feed(&mut self, program: u32, bytes: &[u8]) -> Result<()> {
        self.send(&format!("feed.{program}"), bytes)
    }

    /// A program's output so far.
    pub fn output(&self, program: u32) -> String {
        String::from_utf8_lossy(self.heard(&format!("out.{program}"))).trim().to_owned()
    }

    /// The complete lines of a program's output so far.
    pub fn written(&self, program: u32) -> Vec<String> {
        whole_lines(self.heard(&format!("out.{program}")))
    }

    /// Ends a running program with SIGKILL.
    pub fn kill(&mut self, program: u32) -> Result<()> {
        self.send(&format!("kill.{program}"), b"")?;
        let status = self.reply(&format!("done.{program}"), PATIENCE)?;
        ensure!(status == "137", "the program ended with status {status}");
        Ok(())
    }

    /// Waits for the end of a program, and returns its status.
    pub fn status(&mut self, program: u32, limit: Duration) -> Result<String> {
        self.reply(&format!("done.{program}"), limit)
    }

    /// Waits for the end of a program, and returns its output if it succeeded.
    pub fn finish(&mut self, program: u32) -> Result<String> {
        self.finish_within(program, PATIENCE)
    }

    /// Like [`Lab::finish`], for a program that takes longer.
    pub fn finish_within(&mut self, program: u32, limit: Duration) -> Result<String> {
        let status = self.status(program, limit)?;
        let output = self.output(program);
        ensure!(status == "0", "it ended with status {status}: {output}");
        Ok(output)
    }

    /// Returns the domid of the guest with this name, if there is one.
    pub fn domid(&mut self, guest: &str) -> Result<Option<u32>> {
        let channel = format!("domid.{guest}");
        self.send(&channel, b"")?;
        Ok(self.reply(&channel, PATIENCE)?.parse().ok())
    }

    /// Waits until a xenstore node has a value, and returns it.
    pub fn node(&mut self, path: &str) -> Result<String> {
        let channel = format!("node.{path}");
        self.send(&channel, b"")?;
        self.reply(&channel, PATIENCE).with_context(|| format!("no {path}"))
    }

    /// Returns the value of an existing xenstore node, empty or not.
    pub fn node_now(&mut self, path: &str) -> Result<String> {
        let channel = format!("value.{path}");
        self.send(&channel, b"")?;
        self.reply(&channel, PATIENCE)
    }

    /// Writes a xenstore node, as a toolstack does.
    pub fn write_node(&mut self, path: &str, value: &str) -> Result<()> {
        let channel = format!("write.{path}");
        self.send(&channel, value.as_bytes())?;
        self.reply(&channel, PATIENCE).map(drop)
    }

    /// The log of a guest's toolstack.
    pub fn toolstack(&self, guest: &str) -> String {
        String::from_utf8_lossy(self.heard(&format!("log.xl-{guest}"))).into_owned()
    }

    /// Whether the toolstack saw this guest crash.
    pub fn crashed(&self, guest: &str) -> bool {
        self.toolstack(guest).contains("Action for shutdown reason code 3")
    }

    /// Whether the toolstack has cleaned up after this guest for good.
    pub fn ended(&self, guest: &str) -> bool {
        let said = self.toolstack(guest);
        ["Done. Exiting now", "has been destroyed."].iter().any(|sign| said.contains(sign))
    }
}
