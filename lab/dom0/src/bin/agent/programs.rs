// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that are run for the driver, each with its output and its end reported as they come.
//!
//! Output and errors come through one pipe, in the order of writing. A program that leaves a daemon
//! behind, as `xl create` does, has ended all the same.

use std::collections::HashMap;
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::line;

/// Where the guests' files lie; names in commands are relative to it.
const GUESTS: &str = "/guests";

/// Starts the program whose words are separated by NUL. From here on it can be fed and killed.
pub fn start(id: String, words: &[u8]) -> Result<()> {
    let (mut child, output) = match spawn(&String::from_utf8_lossy(words)) {
        Ok(started) => started,
        Err(error) => {
            line::send(&format!("out.{id}"), format!("{error:#}\n").as_bytes())?;
            return line::send(&format!("done.{id}"), b"127");
        }
    };
    let process = Pid::from_raw(child.id().try_into()?);
    running().insert(id.clone(), Running { process, input: child.stdin.take() });
    thread::spawn(move || {
        let status = follow(&id, process, child, output).unwrap_or(128);
        let _ = line::send(&format!("done.{id}"), status.to_string().as_bytes());
    });
    Ok(())
}

/// A program that runs.
struct Running {
    process: Pid,
    /// Until it's closed.
    input: Option<ChildStdin>,
}

/// Hands bytes to a program that runs; none close its input.
pub fn feed(id: &str, bytes: &[u8]) -> Result<()> {
    let mut running = running();
    let program = running.get_mut(id).with_context(|| not_running(id))?;
    match &mut program.input {
        Some(input) if !bytes.is_empty() => input.write_all(bytes)?,
        input => *input = None,
    }
    Ok(())
}

/// Ends a program that runs as nothing can refuse to be ended.
pub fn kill(id: &str) -> Result<()> {
    let running = running();
    let program = running.get(id).with_context(|| not_running(id))?;
    Ok(signal::kill(program.process, Signal::SIGKILL)?)
}

fn not_running(id: &str) -> String {
    format!("program {id} does not run")
}

fn running() -> MutexGuard<'static, HashMap<String, Running>> {
    static RUNNING: LazyLock<Mutex<HashMap<String, Running>>> = LazyLock::new(Mutex::default);
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(words: &str) -> Result<(Child, PipeReader)> {
    let mut words = words.split('\0');
    let program = words.next().unwrap_or_default();
    let (output, input) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(words).current_dir(GUESTS).stdin(Stdio::piped());
    command.stdout(input.try_clone()?).stderr(input);
    let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    Ok((child, output))
}

/// Passes on what a program writes until it ends; its status.
fn follow(id: &str, process: Pid, mut child: Child, mut output: PipeReader) -> Result<i32> {
    let channel = format!("out.{id}");
    let copier = thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = output.read(&mut buffer) {
            if line::send(&channel, &buffer[..n]).is_err() {
                return;
            }
        }
    });
    // Not reaped before it is off the list: its number is nobody else's as long as it's there.
    while waitid(Id::Pid(process), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR)
    {
    }
    running().remove(id);
    let status = child.wait()?;
    let _ = copier.join();
    // As shells say it.
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(128))
}
