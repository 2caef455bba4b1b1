// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first process of a Linux that is not dom0: runs the program of each line that is typed on
//! its console, one after the other, with its output there.
//!
//! It says `ready` when it can, and `ended <status>` after each. When it ends itself, so does the
//! domain.

use std::io::stdin;
use std::process::Command;

use anyhow::{Result, bail};

/// Where the programs are.
const PROGRAMS: &str = "/guests";

fn main() -> Result<()> {
    dom0::bare::prepare()?;
    println!("ready");
    for line in stdin().lines() {
        let line = line?;
        let Some((program, words)) = line.split_once(' ') else { continue };
        let mut command = Command::new(format!("{PROGRAMS}/{program}"));
        match command.args(words.split_whitespace()).status() {
            Ok(status) => println!("ended {status}"),
            Err(error) => println!("cannot run {program}: {error}"),
        }
    }
    bail!("the console is closed")
}
