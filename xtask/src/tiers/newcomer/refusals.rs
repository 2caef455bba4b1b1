// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new user's mistakes: each is answered in one line that says what is wrong, and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};

use super::{Home, LIMIT, NAME, says};
use crate::host::alone::WITHIN;
use crate::host::paths;
use crate::host::steps::logged;

/// A mistake: its name, and a check that it is answered.
type Refusal = (&'static str, &'static dyn Fn(&Home) -> Result<()>);

pub(super) const ALL: [Refusal; 10] = [
    ("a path that exists is refused", &|home| {
        told(home, &["new", NAME], "first-guest exists; give the path of a new folder")
    }),
    ("a crate without entry! learns what to add", &|home| {
        let main = home.0.join(NAME).join("src/main.rs");
        let words = "it has no entry point: add `grantkit::entry!(main);` to its src/main.rs";
        with_out(&main, "grantkit::entry!(main);", || {
            says(&refused(home.run_sh(&["run", NAME]))?, words)
        })
    }),
    ("a build without a needed flag names it", &|home| {
        let config = home.0.join(NAME).join(".cargo/config.toml");
        let flag = "\"-Crelocation-model=static\",";
        with_out(&config, flag, || says(&refused(home.cargo(NAME, &["build", "--release"]))?, flag))
    }),
    ("a text file is not a guest", &|home| {
        let cargo_toml = format!("{NAME}/Cargo.toml");
        told(home, &["run", &cargo_toml], "can't be booted: it is not a 64-bit ELF file")
    }),
    ("nor is a Linux program", &|home| {
        let words = "can't be booted: it is a program for Linux; build it for x86_64-unknown-none";
        told(home, &["run", "/bin/true"], words)
    }),
    ("two guests of the same name need --name", &|home| {
        let words = "two guests have the same name: rename one with --name";
        told(home, &["run", "hello", "+", "hello"], words)
    }),
    ("a guest that panics at once has crashed", &|home| {
        let main = home.0.join(NAME).join("src/main.rs");
        let entry = "async fn main(guest: Guest) {";
        let panics = format!("{entry}\n    if true {{ panic!(\"no cake\") }}");
        with(&main, entry, &panics, || {
            refused(home.run_sh(&["run", NAME]))?;
            // The dump is longer than the end of the log that a failure shows.
            let said = fs::read_to_string(paths::lab().join("newcomer-run.log"))?;
            says(&said, "error: first-guest: the guest crashed")?;
            says(&said, "no cake")
        })
    }),
    ("an unknown command is answered with similar ones", &|home| {
        told(home, &["smok"], "error: no command `smok`; did you mean smoke or soak?")
    }),
    ("a second run at the same time is told to wait", &|home| {
        let mut command = home.typed(&home.0, &run_sh(), &["build"]);
        command.env_remove(WITHIN).env("CARGO_TARGET_DIR", paths::target());
        told_by(command, "error: another run is at work in ")
    }),
    ("an unknown guest is answered with similar ones", &|home| {
        told(
            home,
            &["run", "helo"],
            "no guest `helo`: neither a file nor a crate; did you mean hello?",
        )
    }),
];

/// Problems of the machine: a name, shell commands that provoke it in a namespace of its own, if
/// the machine allows one, and the expected error.
pub(super) const MACHINES: [(&str, &str, &str); 3] = [
    (
        "a full disk is reported before anything is built",
        "mkdir -p small && mount -t tmpfs -o size=8m none small &&
         CARGO_TARGET_DIR=$PWD/small exec \"$RUN\" help",
        "error: 8 MiB are free in ",
    ),
    (
        "a read-only checkout is reported with a way out",
        "unset CARGO_TARGET_DIR; mount --bind \"$ROOT\" \"$ROOT\" &&
         mount -o remount,ro,bind \"$ROOT\" && exec \"$RUN\" help",
        "error: cannot write to target; set CARGO_TARGET_DIR=<folder> to use another",
    ),
    (
        "a missing network is reported as needed once",
        "mkdir -p empty && CARGO_HOME=$PWD/empty CARGO_TARGET_DIR=$PWD/empty/target \
         CARGO_NET_RETRY=0 exec \"$RUN\" help",
        "error: crates are missing: the network is needed once to fetch them",
    ),
];

/// Whether this machine allows us namespaces.
pub(super) fn has_namespaces(home: &Home) -> bool {
    let mut command = home.typed(&home.0, "unshare", &["-rmn", "true"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|end| end.success())
}

/// Without packages and without a network, no row of the matrix can be had.
pub(super) fn not_run(home: &Home) -> Result<()> {
    let lines = "mount -t tmpfs none \"$TARGET/packages\" &&
         CARGO_TARGET_DIR=$TARGET exec \"$RUN\" matrix --row bullseye-xenstored";
    let said = refused(logged("newcomer-run", in_namespaces(home, lines), LIMIT))?;
    one_line(&said, "error: 0 passed, 0 failed; 2 lines not run")?;
    ensure!(said.starts_with("exit status: 3"), "another status: {said}");
    Ok(())
}

/// Runs shell commands in namespaces of their own, without a network, and checks that they fail
/// with `words`.
pub(super) fn provoked(home: &Home, lines: &str, words: &str) -> Result<()> {
    told_by(in_namespaces(home, lines), words)
}

fn in_namespaces(home: &Home, lines: &str) -> Command {
    let mut command = home.typed(&home.0, "unshare", &["-rmn", "sh", "-c", lines]);
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let rustup = rustup.or_else(|| Some(std::env::home_dir()?.join(".rustup")));
    command.env("RUN", run_sh()).env("ROOT", paths::root());
    command.env("RUSTUP_HOME", rustup.unwrap_or_default()).env("TARGET", paths::target());
    command
}

fn run_sh() -> String {
    paths::root().join("run.sh").to_string_lossy().into_owned()
}

/// Checks that a command fails, with `words` in one line.
fn told(home: &Home, typed: &[&str], words: &str) -> Result<()> {
    one_line(&refused(home.run_sh(typed))?, words)
}

fn told_by(command: Command, words: &str) -> Result<()> {
    one_line(&refused(logged("newcomer-run", command, LIMIT))?, words)
}

fn one_line(said: &str, words: &str) -> Result<()> {
    says(said, words)?;
    // Cargo's own output may come before.
    let last = said.lines().rfind(|line| line.trim_start().starts_with("error: "));
    ensure!(last.is_some_and(|line| line.contains(words)), "that is not the last error: {said}");
    Ok(())
}

/// Runs a check while `part` is left out of a file, and then restores the file.
fn with_out(file: &Path, part: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    with(file, part, "", check)
}

/// Runs a check with `part` of a file replaced by `other`, and then restores the file.
fn with(file: &Path, part: &str, other: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let whole = fs::read_to_string(file)?;
    ensure!(whole.contains(part), "{} has no {part}", paths::shown(file));
    fs::write(file, whole.replace(part, other))?;
    let checked = check();
    fs::write(file, whole)?;
    checked
}

/// Returns the error of a command that must fail.
fn refused(said: Result<String>) -> Result<String> {
    match said {
        Ok(_) => bail!("it was not refused"),
        Err(error) => Ok(format!("{error:#}")),
    }
}
