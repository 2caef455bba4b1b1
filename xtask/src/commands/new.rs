// SPDX-License-Identifier: MIT OR Apache-2.0
//! Creates a guest crate from the template: a guest, its library with a test on FakeXen, an xl
//! configuration, and what CI needs.
//!
//! Refuses a path that exists and a name that can't be a crate's. Leaves nothing behind on failure.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgMatches};

use crate::host::paths;
use crate::host::steps::say;

/// Names a crate can't have, because the language, Cargo or the template uses them.
const TAKEN: [&str; 9] =
    ["test", "core", "alloc", "std", "grantkit", "fake-xen", "build", "crate", "self"];

/// The command's arguments.
pub fn arguments() -> Vec<Arg> {
    let path = Arg::new("path").value_name("PATH").required(true);
    vec![path.help("The folder to create; its name becomes the crate's")]
}

/// `./run.sh new <path>`
pub fn command(matches: &ArgMatches) -> Result<()> {
    let path = matches.get_one::<String>("path").map_or("", String::as_str);
    let folder = make(path)?;
    say(&format!("made    {}", paths::shown(&folder)));
    say(&format!("        cd {path}"));
    say("        cargo run          boots it under Xen in QEMU");
    say("        cargo host-test    tests its library on a fake Xen");
    Ok(())
}

/// Makes the crate, and returns its folder.
pub fn make(path: &str) -> Result<PathBuf> {
    let folder = paths::given(path);
    ensure!(!folder.exists(), "{path} exists; give the path of a new folder");
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check(&name)?;
    let repository = paths::root().to_str().context("the repository's path is not UTF-8")?;
    ensure!(
        !repository.contains(['"', '\\', '\'']),
        "Cargo.toml can't contain the repository's path: {repository}"
    );
    let terms = [
        ("@name@", name.as_str()),
        ("@crate@", &name.replace('-', "_")),
        ("@grantkit@", repository),
    ];
    let made = copy(&paths::root().join("template"), &folder, &terms);
    made.or_else(|error| {
        let _ = fs::remove_dir_all(&folder);
        Err(error).with_context(|| format!("cannot make {path}"))
    })?;
    Ok(folder)
}

/// Checks that a crate can have this name.
fn check(name: &str) -> Result<()> {
    let (first, rest) = name.split_at_checked(1).unwrap_or_default();
    let letter = |c: char| c.is_ascii_lowercase();
    if !first.starts_with(letter)
        || !rest.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '-' || c == '_')
    {
        bail!("`{name}` can't be a crate's name: use lower-case letters, digits, - and _");
    }
    ensure!(!TAKEN.contains(&name), "`{name}` is taken; give the crate another name");
    Ok(())
}

/// Copies a folder, replacing marks with terms in file names and contents.
fn copy(from: &Path, to: &Path, terms: &[(&str, &str)]) -> Result<()> {
    let filled = |text: &str| {
        terms.iter().fold(text.to_owned(), |text, (mark, term)| text.replace(mark, term))
    };
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no {}", paths::shown(from)))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let place = to.join(filled(&name));
        if path.is_dir() {
            copy(&path, &place, terms)?;
        } else {
            fs::write(&place, filled(&fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_crate_names_pass_and_others_are_refused() {
        for name in ["vault", "my-guest", "a1_b"] {
            check(name).unwrap();
        }
        for name in ["", "1a", "Upper", "a b", "grantkit", "test", "é", "a.b"] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_path_that_exists_is_refused() {
        let error = make("template").unwrap_err().to_string();
        assert!(error.contains("template exists"), "{error}");
    }

    #[test]
    fn no_mark_is_left_and_no_file_of_the_template_is_missing() {
        let folder = paths::target().join(format!("new-{}", std::process::id())).join("made");
        let terms = [("@name@", "n"), ("@crate@", "c"), ("@grantkit@", "/g")];
        copy(&paths::root().join("template"), &folder, &terms).unwrap();
        for file in ["Cargo.toml", ".cargo/config.toml", "src/main.rs", "src/lib.rs", "n.cfg"] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(!terms.iter().any(|(mark, _)| text.contains(mark)), "{file}");
        }
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }
}
