//! Programs that are run for the driver, each with its output and its end reported as they come.
//!
//! Output and errors come through one pipe, in the order of writing. A program that leaves a daemon behind, as
//! `xl create` does, has ended all the same.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::line;

/// Where the guests' files lie; names in commands are relative to it.
const GUESTS: &str = "/guests";

/// Starts the program whose words are separated by NUL.
pub fn start(id: String, words: &[u8]) -> Result<()> {
    let words = String::from_utf8_lossy(words).into_owned();
    thread::spawn(move || {
        let status = run(&id, &words).unwrap_or_else(|error| {
            let _ = line::send(&format!("out.{id}"), format!("{error:#}\n").as_bytes());
            127
        });
        let _ = line::send(&format!("done.{id}"), status.to_string().as_bytes());
    });
    Ok(())
}

fn run(id: &str, words: &str) -> Result<i32> {
    let mut words = words.split('\0');
    let program = words.next().unwrap_or_default();
    let (mut output, input) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(words).current_dir(GUESTS).stdin(Stdio::null());
    command.stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    drop(command);
    let channel = format!("out.{id}");
    let copier = thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = output.read(&mut buffer) {
            if line::send(&channel, &buffer[..n]).is_err() {
                return;
            }
        }
    });
    let status = child.wait()?;
    let _ = copier.join();
    Ok(status.code().unwrap_or(128))
}
