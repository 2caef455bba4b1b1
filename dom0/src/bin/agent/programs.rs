//! Programs that are run for the driver, each with its output and its end reported as they come.
//!
//! Output and errors come through one pipe, in the order of writing. A program that leaves a daemon behind, as
//! `xl create` does, has ended all the same.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
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

/// Hands bytes to a program that runs; none close its input.
pub fn feed(id: &str, bytes: &[u8]) -> Result<()> {
    let mut inputs = inputs();
    match inputs.get_mut(id).with_context(|| format!("program {id} does not run"))? {
        input if !bytes.is_empty() => input.write_all(bytes)?,
        _ => drop(inputs.remove(id)),
    }
    Ok(())
}

fn inputs() -> MutexGuard<'static, HashMap<String, ChildStdin>> {
    static INPUTS: LazyLock<Mutex<HashMap<String, ChildStdin>>> = LazyLock::new(Mutex::default);
    INPUTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(id: &str, words: &str) -> Result<i32> {
    let mut words = words.split('\0');
    let program = words.next().unwrap_or_default();
    let (mut output, input) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(words).current_dir(GUESTS).stdin(Stdio::piped());
    command.stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    drop(command);
    inputs().extend(child.stdin.take().map(|input| (id.to_owned(), input)));
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
    inputs().remove(id);
    let _ = copier.join();
    Ok(status.code().unwrap_or(128))
}
