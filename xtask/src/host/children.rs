// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every process that the tool starts.
//!
//! A child leads its own process group; dropping the `Child` ends the group, and so do Ctrl-C,
//! SIGTERM and SIGHUP. If the tool itself gets SIGKILL, the kernel kills the children, as `setpriv
//! --pdeathsig` asks it to. So there are no orphans. Output and errors come through one pipe, in
//! the order they were written. There is no way to wait without a limit.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The argument of `kill` for each running child: its process id, or its negated group id.
static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a child may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// What a child did next.
pub enum Event {
    /// It wrote something.
    Output(Vec<u8>),
    /// It ended, and all its output has been returned.
    Exited(ExitStatus),
    /// It did neither by the limit.
    TimedOut,
}

/// A running process; dropping it ends it.
pub struct Child {
    target: i32,
    events: Receiver<Event>,
    ended: bool,
}

/// A command whose process dies with this tool.
pub fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

/// Whether this run was interrupted from outside.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// On Ctrl-C and similar signals, ends all children, so that every wait in the tool ends and its
/// clean-up runs.
pub fn stop_all_on_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        signal_all(Signal::SIGTERM);
        thread::sleep(GRACE + GRACE);
        signal_all(Signal::SIGKILL); // still here: some child or wait did not end
        std::process::exit(130);
    })
    .context("cannot watch for Ctrl-C")
}

impl Child {
    /// Starts `command` in a process group of its own.
    pub fn start(mut command: Command) -> Result<Child> {
        command.process_group(0);
        Child::spawn(command, -1)
    }

    /// Starts `command` in the tool's own group, the only one that may read from the terminal.
    pub fn start_in_foreground(command: Command) -> Result<Child> {
        Child::spawn(command, 1)
    }

    fn spawn(mut command: Command, sign: i32) -> Result<Child> {
        let (mut output, input) = io::pipe()?;
        command.stdout(input.try_clone()?).stderr(input);
        let mut process = command.spawn().context("cannot start `setpriv` (package util-linux)")?;
        drop(command); // closes our write ends, so that the pipe ends with the child
        let target = sign * i32::try_from(process.id())?;
        running().push(target);
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                let _ = sender.send(Event::Output(buffer[..n].to_vec()));
            }
            if let Ok(status) = process.wait() {
                let _ = sender.send(Event::Exited(status));
            }
        });
        let child = Child { target, events, ended: false };
        if interrupted() {
            bail!("interrupted"); // the signal may have come before the child was listed
        }
        Ok(child)
    }

    /// Waits for the next event, at most until `limit`.
    pub fn next(&mut self, limit: Instant) -> Result<Event> {
        let event = match self.events.recv_timeout(limit.saturating_duration_since(Instant::now()))
        {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => Event::TimedOut,
            Err(RecvTimeoutError::Disconnected) => bail!("lost sight of a child process"),
        };
        if matches!(event, Event::Exited(_)) {
            self.forget();
        }
        if interrupted() {
            bail!("interrupted");
        }
        Ok(event)
    }

    fn forget(&mut self) {
        self.ended = true;
        running().retain(|&target| target != self.target);
    }

    fn ends_within(&self, grace: Duration) -> bool {
        let limit = Instant::now() + grace;
        loop {
            match self.events.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok(Event::Output(_)) => {}
                Err(RecvTimeoutError::Timeout) => return false,
                _ => return true,
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if !self.ended {
                let _ = kill(Pid::from_raw(self.target), signal);
                self.ended = self.ends_within(GRACE);
            }
        }
        self.forget();
    }
}

fn signal_all(signal: Signal) {
    for &target in running().iter() {
        let _ = kill(Pid::from_raw(target), signal);
    }
}

fn running() -> MutexGuard<'static, Vec<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
