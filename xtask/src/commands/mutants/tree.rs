// SPDX-License-Identifier: MIT OR Apache-2.0
//! The copy that mutants are applied to: `target/mutants/tree`, built in `target/mutants/target`.
//!
//! It is kept, so that the next run builds only what has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::list::Mutant;
use crate::host::cargo::{self, BUILD_LIMIT};
use crate::host::children::{Child, Event};
use crate::host::{children, paths, steps};

/// The test runner, with a memory limit: a mutant that allocates in a loop would take down the
/// machine.
const RUNNER: &str = "prlimit --as=4000000000";

/// The copy.
pub struct Tree(PathBuf);

/// The outcome of a mutant's tests.
#[derive(Debug)]
pub enum Outcome {
    /// A test failed.
    Killed,
    /// A test did not end in time.
    Endless,
    /// No test noticed.
    Survived,
    /// The mutant doesn't compile.
    DoesNotBuild,
}

impl Outcome {
    /// The outcome as a list of results shows it.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Killed => "killed",
            Outcome::Endless => "killed (hang)",
            Outcome::Survived => "SURVIVED",
            Outcome::DoesNotBuild => "DOESN'T BUILD",
        }
    }
}

impl Tree {
    /// Brings the copy up to date with the working tree: the files that git tracks or would add.
    pub fn of_the_repository() -> Result<Tree> {
        let tree = paths::target().join("mutants/tree");
        let mut git = children::command("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        let names = steps::logged("mutants-files", git, BUILD_LIMIT)?;
        for name in names.lines() {
            let from = paths::root().join(name);
            // Git also lists files whose deletion isn't committed.
            if from.is_file() {
                update(&tree.join(name), &fs::read(from)?)?;
            }
        }
        Ok(Tree(tree))
    }

    /// Applies a mutant, runs its tests and reverts it.
    pub fn with(&self, mutant: &Mutant, limit: Duration) -> Result<Outcome> {
        let changed = mutant.apply().map_err(|why| anyhow!(why))?;
        let file = self.0.join(&mutant.file);
        let original = fs::read(&file)?;
        update(&file, changed.as_bytes())?;
        let outcome = self.test(&mutant.tests, limit);
        update(&file, &original)?;
        outcome
    }

    /// Builds tests and runs them.
    pub fn test(&self, tests: &[String], limit: Duration) -> Result<Outcome> {
        match self.cargo(&["--no-run"], tests, BUILD_LIMIT)? {
            Some(true) => {}
            Some(false) => return Ok(Outcome::DoesNotBuild),
            None => bail!("the build did not end within {} s", BUILD_LIMIT.as_secs()),
        }
        Ok(match self.cargo(&[], tests, limit)? {
            Some(true) => Outcome::Survived,
            Some(false) => Outcome::Killed,
            None => Outcome::Endless,
        })
    }

    /// Whether `cargo test` succeeded; `None` if it was killed at the limit.
    fn cargo(&self, more: &[&str], tests: &[String], limit: Duration) -> Result<Option<bool>> {
        let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
        let mut command: Command = cargo::command(&[&["test", "-q"], more, &tests].concat());
        command.current_dir(&self.0);
        command.env("CARGO_TARGET_DIR", paths::target().join("mutants/target"));
        command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER);
        let mut child = Child::start(command)?;
        let until = Instant::now() + limit;
        loop {
            match child.next(until)? {
                Event::Output(_) => {}
                Event::Exited(status) => return Ok(Some(status.success())),
                Event::TimedOut => return Ok(None),
            }
        }
    }
}

/// Writes a file only if its contents change, so that unchanged code isn't rebuilt.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|have| have == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", paths::shown(path)))
}
