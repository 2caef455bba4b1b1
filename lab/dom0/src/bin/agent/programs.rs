// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs run for the driver. Their output and their ends are reported as they happen.
//!
//! Output and errors share one pipe, so they arrive in order. A program counts as ended even if it
//! leaves a daemon behind, as `xl create` does.

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

/// Where the guests' files are. File names in commands are relative to it.
const GUESTS: &str = "/guests";

/// Starts a program, given as words separated by NUL. From now on it can be fed and killed.
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

/// A running program.
struct Running {
    process: Pid,
    /// `None` once it's closed.
    input: Option<ChildStdin>,
}

/// Writes bytes to a running program's input; closes it if `bytes` is empty.
pub fn feed(id: &str, bytes: &[u8]) -> Result<()> {
    let mut running = running();
    let program = running.get_mut(id).with_context(|| not_running(id))?;
    match &mut program.input {
        Some(input) if !bytes.is_empty() => input.write_all(bytes)?,
        input => *input = None,
    }
    Ok(())
}

/// Kills a running program with SIGKILL.
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

/// Forwards a program's output until it ends. Returns its status.
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
    // Removes it from the list before reaping it, so that the list never has a process number that
    // may have been reused.
    while waitid(Id::Pid(process), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR)
    {
    }
    running().remove(id);
    let status = child.wait()?;
    let _ = copier.join();
    // As shells report it.
    Ok(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(128))
}
