// SPDX-License-Identifier: MIT OR Apache-2.0
//! The copy in which mutants live: `target/mutants/tree`, built in `target/mutants/target`.
//!
//! It is kept, so that the next run builds what has changed and no more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::list::Mutant;
use crate::host::cargo::{self, BUILD_LIMIT};
use crate::host::children::{Child, Event};
use crate::host::{children, paths, steps};

/// What runs a test: one that loops and allocates would take the machine with it.
const RUNNER: &str = "prlimit --as=4000000000";

/// The copy.
pub struct Tree(PathBuf);

/// What became of a mutant.
#[derive(Debug)]
pub enum Outcome {
    /// A test failed.
    Killed,
    /// A test did not end in its time.
    Endless,
    /// No test noticed.
    Survived,
    /// It is no program.
    DoesNotBuild,
}

impl Outcome {
    /// For a list of results.
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
    /// Brings the copy up to date: the files that git knows or would add, as they are now.
    pub fn of_the_repository() -> Result<Tree> {
        let tree = paths::target().join("mutants/tree");
        let mut git = children::command("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        let names = steps::logged("mutants-files", git, BUILD_LIMIT)?;
        for name in names.lines() {
            let from = paths::root().join(name);
            // Git lists what was deleted and not committed, too.
            if from.is_file() {
                update(&tree.join(name), &fs::read(from)?)?;
            }
        }
        Ok(Tree(tree))
    }

    /// Runs a mutant's tests with it in place, and takes it out again.
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
            None => bail!("no end of building after {} s", BUILD_LIMIT.as_secs()),
        }
        Ok(match self.cargo(&[], tests, limit)? {
            Some(true) => Outcome::Survived,
            Some(false) => Outcome::Killed,
            None => Outcome::Endless,
        })
    }

    /// Whether `cargo test` succeeded; `None` if it was ended at the limit.
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

/// Writes a file if that changes it, so that what is the same is not built again.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|have| have == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(path))
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", paths::shown(path)))
}
