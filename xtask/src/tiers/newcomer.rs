//! A stranger's first guest: made by `./run.sh new` in a folder outside the repository, built into
//! a target folder elsewhere, tested on the host, booted by `cargo run` and by `./run.sh run`.
//!
//! Every step is what a person would type. The folder has a blank in its name and goes in the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::extent::Run;
use crate::host::paths;
use crate::host::steps::logged;
use crate::host::{alone, children};
use crate::judge::tally::Tally;

/// One command, with crates to download and to build.
const LIMIT: Duration = Duration::from_secs(600);
/// The crate's name.
const NAME: &str = "first-guest";
/// What the guest says once it has shared its page.
const SHARED: &str = "shared a page with dom0: reference ";

/// Runs the steps. It is the same on every hypervisor: a given one is refused.
pub fn run(run: &Run) -> Result<Tally> {
    ensure!(run.xen.is_none(), "newcomer types what a newcomer would, who gives no hypervisor");
    let mut home = Home::new()?;
    let mut tally = Tally::default();
    let mut check = |name: &str, check: &dyn Fn(&Home) -> Result<()>| -> Result<()> {
        let check = |home: &mut Home| check(home).map(|()| String::new());
        tally.made(name, &mut home, check, |_| String::new())
    };
    check("./run.sh new makes a crate", &|home| home.make())?;
    check("a second time is refused in one line", &|home| home.make_again())?;
    check("cargo build --release", &|home| home.build())?;
    check("cargo host-test", &|home| home.host_test())?;
    check("cargo run boots it", &|home| home.cargo_run())?;
    check("./run.sh run boots the crate and an example side by side", &|home| home.side_by_side())?;
    check("without entry! one line says what to add", &|home| home.without_entry())?;
    check("without a flag the build says which", &|home| home.without_flag())?;
    Ok(tally)
}

/// A folder outside the repository, which goes with this value.
struct Home(PathBuf);

impl Home {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("grantkit newcomer {}", std::process::id()));
        ensure!(!folder.starts_with(paths::root()), "TMPDIR lies in the repository");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn guest(&self) -> PathBuf {
        self.0.join(NAME)
    }

    /// A command as it is typed in `folder`.
    fn typed(&self, folder: &Path, program: &str, words: &[&str]) -> Command {
        let mut command = children::command(program);
        command.args(words).current_dir(folder);
        alone::within(&mut command);
        command.env("CARGO_TARGET_DIR", self.0.join("elsewhere")).env_remove("GRANTKIT_FROM");
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }

    fn cargo(&self, words: &[&str]) -> Result<String> {
        logged("newcomer-cargo", self.typed(&self.guest(), "cargo", words), LIMIT)
    }

    fn run_sh(&self, words: &[&str]) -> Result<String> {
        let run_sh = paths::root().join("run.sh");
        let mut command = self.typed(&self.0, &run_sh.to_string_lossy(), words);
        // The tool is built already, in the folder that this one was started from.
        command.env("CARGO_TARGET_DIR", paths::target());
        logged("newcomer-run", command, LIMIT)
    }

    fn make(&self) -> Result<()> {
        self.run_sh(&["new", NAME])?;
        ensure!(self.guest().join("Cargo.toml").exists(), "there is no {NAME}/Cargo.toml");
        Ok(())
    }

    fn make_again(&self) -> Result<()> {
        let error = refused(self.run_sh(&["new", NAME]))?;
        says(&error, "error: first-guest exists; give the path of a folder that is to be made")
    }

    fn build(&self) -> Result<()> {
        self.cargo(&["build", "--release"]).map(drop)
    }

    fn host_test(&self) -> Result<()> {
        let said = self.cargo(&["host-test"])?;
        says(&said, "test result: ok. 2 passed; 0 failed")
    }

    fn cargo_run(&self) -> Result<()> {
        says(&self.cargo(&["run", "--release"])?, SHARED)
    }

    fn side_by_side(&self) -> Result<()> {
        let said = self.run_sh(&["run", NAME, "+", "hello"])?;
        says(&said, &format!("{NAME} | {SHARED}"))?;
        says(&said, "hello       | hello: shared a page with dom0")
    }

    fn without_entry(&self) -> Result<()> {
        let main = self.guest().join("src/main.rs");
        let error = with_out(&main, "grantkit::entry!(main);", || self.run_sh(&["run", NAME]))?;
        says(&error, "it has no entry: add `grantkit::entry!(main);` to its src/main.rs")
    }

    fn without_flag(&self) -> Result<()> {
        let config = self.guest().join(".cargo/config.toml");
        let flag = "\"-Crelocation-model=static\",";
        let error = with_out(&config, flag, || self.cargo(&["build", "--release"]))?;
        says(&error, flag)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a command says that fails once `part` is left out of a file, which is then as before.
fn with_out(file: &Path, part: &str, command: impl Fn() -> Result<String>) -> Result<String> {
    let whole = fs::read_to_string(file)?;
    ensure!(whole.contains(part), "{} has no {part}", file.display());
    fs::write(file, whole.replace(part, ""))?;
    let said = refused(command());
    fs::write(file, whole)?;
    said
}

/// What a command says that must fail.
fn refused(said: Result<String>) -> Result<String> {
    match said {
        Ok(_) => bail!("it was not refused"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

fn says(said: &str, words: &str) -> Result<()> {
    let end: Vec<&str> = said.lines().rev().take(8).collect();
    ensure!(said.contains(words), "it doesn't say `{words}`, but {end:?}");
    Ok(())
}
