// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints a line when a step starts, and one with its duration when it ends.
//!
//! On a terminal a clock runs in between, and steps that took almost no time share one line;
//! anywhere else no control characters are written. The output of a step's command goes to
//! `target/lab/<step>.log`, and a failure shows the end of it. A failed step is reported once,
//! here.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::children::{Child, Event};
use super::{look, paths};

/// The number of lines of a log that a failure shows.
const TAIL: usize = 25;
/// The number of characters shown of each of them.
const WIDTH: usize = 240;

/// A step that takes less than this, in seconds, had nothing to do.
const QUICK_S: f64 = 1.0;
/// The advice for a full disk.
const FULL: &str =
    ": no space left on the device: free some, or set CARGO_TARGET_DIR=<folder> to use another";

/// The clock of the step that runs.
static CLOCK: Mutex<Option<ProgressBar>> = Mutex::new(None);
/// Quick steps that have not been reported yet.
static QUICK: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// How many nested steps are running.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Prints one line, above a running clock.
pub fn say(line: &str) {
    let quick = match RUNNING.load(Relaxed) {
        0 => std::mem::take(&mut *quick()),
        // A running step's own lines come before the line that quick steps share.
        _ => Vec::new(),
    };
    let print = || {
        if !quick.is_empty() {
            look::write(&format!("ready   {}", quick.join(", ")));
        }
        if !line.is_empty() {
            look::write(line);
        }
    };
    match clock().as_ref() {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Reports the last quick steps, after which nothing was printed.
pub fn end() {
    if !quick().is_empty() {
        say("");
    }
}

/// Runs `work` as the step `name`.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // On a terminal the clock names the step.
    if !look::is_terminal() {
        say(&format!("start   {name}"));
    }
    RUNNING.fetch_add(1, Relaxed);
    let (result, seconds) = clocked(name, work);
    RUNNING.fetch_sub(1, Relaxed);
    match &result {
        Ok(_) if look::is_terminal() && seconds < QUICK_S => quick().push(name.to_owned()),
        Ok(_) => say(&format!("passed  {name} ({seconds:.1} s)")),
        Err(error) => say(&format!("FAILED  {name} ({seconds:.1} s): {error:#}")),
    }
    result.map_err(|_| anyhow!("{name} failed"))
}

/// Runs `work` as the step `name` in a thread of its own, without a clock. It ends by itself or
/// with the tool; the caller joins it.
pub fn beside<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    say(&format!("start   {name}, alongside what follows"));
    thread::spawn(move || {
        let started = Instant::now();
        let result = work();
        let seconds = started.elapsed().as_secs_f64();
        match &result {
            Ok(_) => say(&format!("passed  {name} ({seconds:.1} s)")),
            Err(error) => say(&format!("FAILED  {name} ({seconds:.1} s): {error:#}")),
        }
        result
    })
}

/// Runs `work` while a clock runs; returns its result and how many seconds it took.
pub fn clocked<T>(name: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    *clock() = Some(started_clock(name));
    let result = work();
    if let Some(bar) = clock().take() {
        bar.finish_and_clear();
    }
    (result, started.elapsed().as_secs_f64())
}

/// Runs a command to its end, with its output going to `target/lab/<log>.log`, and returns the
/// output.
pub fn logged(log: &str, mut command: Command, limit: Duration) -> Result<String> {
    let path = paths::lab().join(format!("{log}.log"));
    let mut file = create(&path)?;
    let mut said = Vec::new();
    command.stdin(Stdio::null());
    if command.get_current_dir().is_none() {
        command.current_dir(paths::root());
    }
    let mut child = Child::start(command)?;
    let until = Instant::now() + limit;
    let trouble = loop {
        match child.next(until)? {
            Event::Output(bytes) => {
                file.write_all(&bytes).map_err(|error| unwritten(&path, &error))?;
                said.extend(bytes);
            }
            Event::Exited(status) if status.success() => {
                return Ok(String::from_utf8_lossy(&said).into_owned());
            }
            Event::Exited(status) => break status.to_string(),
            Event::TimedOut => break format!("it did not end within {} s", limit.as_secs()),
        }
    };
    let said = String::from_utf8_lossy(&said);
    let full = if said.contains("No space left on device") { FULL } else { "" };
    bail!("{trouble}{full}\n{}", excerpt(&said, &path))
}

/// Creates a log file, and its folder.
pub fn create(path: &Path) -> Result<File> {
    fs::create_dir_all(path.parent().unwrap_or(path))
        .and_then(|()| File::create(path))
        .map_err(|error| unwritten(path, &error))
}

/// The error for a file that can't be written, with advice.
fn unwritten(path: &Path, error: &io::Error) -> anyhow::Error {
    let shown = paths::shown(path);
    match error.kind() {
        ErrorKind::StorageFull => anyhow!("cannot write {shown}{FULL}"),
        _ => anyhow!("cannot write {shown}: {error}; set CARGO_TARGET_DIR=<folder> to use another"),
    }
}

/// The end of a log, indented and without control characters, and the log's path.
pub fn excerpt(text: &str, log: &Path) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut shown = String::new();
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        let plain = line.chars().filter(|c| !c.is_control() || *c == '\t');
        shown.extend("    ".chars().chain(plain.take(WIDTH)).chain(['\n']));
    }
    shown + &format!("    (full log: {})", paths::shown(log))
}

fn clock() -> MutexGuard<'static, Option<ProgressBar>> {
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn quick() -> MutexGuard<'static, Vec<String>> {
    QUICK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn started_clock(name: &str) -> ProgressBar {
    let target = if look::is_terminal() {
        ProgressDrawTarget::stdout()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target).with_message(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("        {msg}: {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The error of `logged` for the shell command `line`, with its log on the device `to`.
    fn told(log: &str, to: &str, line: &str) -> String {
        let name = format!("{log}-{}", std::process::id());
        let path = paths::lab().join(format!("{name}.log"));
        fs::create_dir_all(paths::lab()).unwrap();
        symlink(to, &path).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        let said = logged(&name, command, Duration::from_secs(60));
        fs::remove_file(&path).unwrap();
        said.unwrap_err().to_string()
    }

    #[test]
    fn a_full_disk_is_one_line_that_says_what_to_do() {
        let ours = told("full", "/dev/full", "echo hello");
        assert!(ours.starts_with("cannot write "), "{ours}");
        let theirs = told("theirs", "/dev/null", "cat /etc/hostname >/dev/full");
        assert!(theirs.starts_with("exit status: "), "{theirs}");
        let advice =
            "no space left on the device: free some, or set CARGO_TARGET_DIR=<folder> to use";
        for said in [ours, theirs] {
            assert!(said.lines().next().unwrap().contains(advice), "{said}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_fails_with_advice() {
        let error = create(Path::new("/proc/nowhere/x.log")).unwrap_err().to_string();
        let (what, way) =
            ("cannot write /proc/nowhere/x.log: ", "set CARGO_TARGET_DIR=<folder> to");
        assert!(error.starts_with(what) && error.contains(way), "{error}");
    }

    #[test]
    fn an_excerpt_is_the_end_without_control_characters() {
        let text: String = (0..100).map(|i| format!("\x1b[1mline {i}\r\n")).collect();
        let shown = excerpt(&text, Path::new("x.log"));
        assert_eq!(shown.lines().count(), TAIL + 1);
        assert!(shown.starts_with("    [1mline 75\n"));
        assert!(shown.ends_with("(full log: x.log)"));
    }
}
