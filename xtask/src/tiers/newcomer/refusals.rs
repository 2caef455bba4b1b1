//! What a newcomer gets wrong: each is one line that says what, and what to do.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::{Home, NAME, says};
use crate::host::paths;

/// A mistake, and whether it's answered.
type Refusal = (&'static str, &'static dyn Fn(&Home) -> Result<()>);

pub(super) const ALL: [Refusal; 9] = [
    ("a path that exists is refused", &|home| {
        told(
            home,
            &["new", NAME],
            "first-guest exists; give the path of a folder that is to be made",
        )
    }),
    ("a crate without entry! is told what to add", &|home| {
        let main = home.0.join(NAME).join("src/main.rs");
        let words = "it has no entry: add `grantkit::entry!(main);` to its src/main.rs";
        with_out(&main, "grantkit::entry!(main);", || told(home, &["run", NAME], words))
    }),
    ("without a flag the build says which", &|home| {
        let config = home.0.join(NAME).join(".cargo/config.toml");
        let flag = "\"-Crelocation-model=static\",";
        with_out(&config, flag, || says(&refused(home.cargo(NAME, &["build", "--release"]))?, flag))
    }),
    ("a text is no guest", &|home| {
        let cargo_toml = format!("{NAME}/Cargo.toml");
        told(home, &["run", &cargo_toml], "can't be booted: it is no 64-bit ELF file")
    }),
    ("nor is a program for Linux", &|home| {
        let words = "can't be booted: it is a program for Linux; build it for x86_64-unknown-none";
        told(home, &["run", "/bin/true"], words)
    }),
    ("two guests of one name are told apart by --name", &|home| {
        let words = "two guests of one name: give one another by --name";
        told(home, &["run", "hello", "+", "hello"], words)
    }),
    ("a guest that panics at once has crashed", &|home| {
        let main = home.0.join(NAME).join("src/main.rs");
        let entry = "async fn main(guest: Guest) {";
        let panics = format!("{entry}\n    if true {{ panic!(\"no cake\") }}");
        with(&main, entry, &panics, || {
            let said = refused(home.run_sh(&["run", NAME]))?;
            says(&said, "error: first-guest: the guest crashed")?;
            says(&said, "no cake")
        })
    }),
    ("an unknown word is answered with the near ones", &|home| {
        told(home, &["smok"], "error: no command `smok`; did you mean smoke?")
    }),
    ("a guest that there isn't is answered with those that are", &|home| {
        told(home, &["run", "helo"], "no guest `helo`: it is no file, no crate, and none of ")
    }),
];

/// A command fails, and says `words` in one line.
fn told(home: &Home, command: &[&str], words: &str) -> Result<()> {
    let said = refused(home.run_sh(command))?;
    says(&said, words)?;
    let errors = said.lines().filter(|line| line.trim_start().starts_with("error: "));
    ensure!(errors.count() == 1, "it's not one line: {said}");
    Ok(())
}

/// Makes a check while `part` is left out of a file, which is then as before.
fn with_out(file: &Path, part: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    with(file, part, "", check)
}

/// The same with something else in its place.
fn with(file: &Path, part: &str, other: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let whole = fs::read_to_string(file)?;
    ensure!(whole.contains(part), "{} has no {part}", paths::shown(file));
    fs::write(file, whole.replace(part, other))?;
    let checked = check();
    fs::write(file, whole)?;
    checked
}

/// What a command says that must fail.
fn refused(said: Result<String>) -> Result<String> {
    match said {
        Ok(_) => bail!("it was not refused"),
        Err(error) => Ok(format!("{error:#}")),
    }
}
