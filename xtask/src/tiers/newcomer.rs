// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new user's first guest: made by `./run.sh new` in a folder outside the repository, built into
//! a target folder elsewhere, tested on the host, and booted by `cargo run` and `./run.sh run`.
//!
//! Every step is what a user would type. The folder has a blank in its name, and is removed in the
//! end.

mod guide; // the two guests of docs/guide.md
mod refusals; // mistakes, each answered in one line

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::extent::Run;
use crate::host::paths;
use crate::host::steps::{logged, say};
use crate::host::{alone, children};
use crate::judge::tally::Tally;

/// How long one command may take, with crates to download and build.
const LIMIT: Duration = Duration::from_secs(600);
/// The crate's name.
const NAME: &str = "first-guest";
/// What the guest prints once it has shared its page.
const SHARED: &str = "shared a page with dom0: reference ";

/// Runs the tier. A given hypervisor is refused, since a new user gives none.
pub fn run(run: &Run) -> Result<Tally> {
    ensure!(run.xen.is_none(), "newcomer takes no --xen: it types what a new user would");
    let mut home = Home::new()?;
    let has_namespaces = refusals::has_namespaces(&home);
    let mut tally = Tally::default();
    let mut check = |name: &str, check: &dyn Fn(&Home) -> Result<()>| -> Result<()> {
        let check = |home: &mut Home| check(home).map(|()| String::new());
        tally.made(name, &mut home, check, |_| String::new())
    };
    check("./run.sh new makes a crate", &|home| home.make())?;
    check("cargo build --release", &|home| home.build())?;
    check("cargo host-test", &|home| home.host_test())?;
    check("cargo run boots it", &|home| home.cargo_run())?;
    check("./run.sh run boots the crate and an example side by side", &|home| home.side_by_side())?;
    check("./run.sh run --pvh boots the shell's image as PVH", &|home| home.run_pvh())?;
    check("the guide's two guests are made as it says", &guide::make)?;
    check("its test of both on a fake Xen", &guide::host_test)?;
    for order in [["vault", "reader"], ["reader", "vault"]] {
        let name = format!("the {} finds the {}, and they share", order[1], order[0]);
        check(&name, &|home| guide::boot(home, order))?;
    }
    for (name, refusal) in refusals::ALL {
        check(name, refusal)?;
    }
    if !has_namespaces {
        say("        skipped: this machine allows no namespaces to provoke a full disk in");
        return Ok(tally);
    }
    check("a row of the matrix that can't be had makes it exit 3", &refusals::not_run)?;
    for (name, lines, words) in refusals::MACHINES {
        check(name, &|home| refusals::provoked(home, lines, words))?;
    }
    Ok(tally)
}

/// A folder outside the repository, which is removed when this value is dropped.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("grantkit newcomer {}", std::process::id()));
        ensure!(!folder.starts_with(paths::root()), "TMPDIR is inside the repository");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn guest(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// A command as typed in `folder`.
    fn typed(&self, folder: &Path, program: &str, words: &[&str]) -> Command {
        let mut command = children::command(program);
        command.args(words).current_dir(folder);
        alone::within(&mut command);
        command.env("CARGO_TARGET_DIR", self.0.join("elsewhere")).env_remove("GRANTKIT_FROM");
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    fn cargo(&self, guest: &str, words: &[&str]) -> Result<String> {
        logged("newcomer-cargo", self.typed(&self.0.join(guest), "cargo", words), LIMIT)
    }

    fn run_sh(&self, words: &[&str]) -> Result<String> {
        let run_sh = paths::root().join("run.sh");
        let mut command = self.typed(&self.0, &run_sh.to_string_lossy(), words);
        // The tool is already built, in this run's target folder.
        command.env("CARGO_TARGET_DIR", paths::target());
        logged("newcomer-run", command, LIMIT)
    }

    fn make(&self) -> Result<()> {
        self.run_sh(&["new", NAME])?;
        ensure!(self.guest().join("Cargo.toml").exists(), "there is no {NAME}/Cargo.toml");
        Ok(())
    }

    fn build(&self) -> Result<()> {
        self.cargo(NAME, &["build", "--release"]).map(drop)
    }

    fn host_test(&self) -> Result<()> {
        let said = self.cargo(NAME, &["host-test"])?;
        says(&said, "test result: ok. 2 passed; 0 failed")
    }

    fn cargo_run(&self) -> Result<()> {
        says(&self.cargo(NAME, &["run", "--release"])?, SHARED)
    }

    fn side_by_side(&self) -> Result<()> {
        let said = self.run_sh(&["run", NAME, "+", "hello"])?;
        says(&said, &format!("{NAME} | {SHARED}"))?;
        says(&said, "hello       | hello: shared a page with dom0")
    }

    fn run_pvh(&self) -> Result<()> {
        let image = paths::image().join("grantkit").to_string_lossy().into_owned();
        says(&self.run_sh(&["run", &image, "--pvh", "--", "-- status; poweroff"])?, " mode=pvh")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn says(said: &str, words: &str) -> Result<()> {
    let end: Vec<&str> = said.lines().rev().take(8).collect();
    ensure!(said.contains(words), "it doesn't say `{words}`, but {end:?}");
    Ok(())
}
