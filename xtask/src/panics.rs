// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds where our code in the image can panic or abort, and compares that with the lists that say
//! why it never happens.
//!
//! `lab/panics.txt` lists every place in our code where a panic may start: every
//! `core::panic::Location` in the linked image that names a file of this repository.
//! `lab/aborts.txt` lists every place from which a failed allocation would abort the guest. The
//! check fails if there is a new place, or if a listed one is gone.
//!
//! Two kinds of `Location` are not listed. An `async fn` panics if polled after its end, but only
//! `.await` and the executor poll, and neither polls a finished future; these are only counted.
//! Messages of the crate `log` also have a `Location`, but don't panic.

mod calls; // which code reaches an abort, by calls and tables of functions
pub mod elf; // an image as laid out in memory
mod lines; // the source line behind an instruction
mod list; // the lists, and their comparison with the image
mod locations; // finds every `Location`
mod source; // the repository's own files

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::guests::image::TARGET;
use crate::host::steps::{say, step};
use crate::host::{cargo, paths};
use crate::judge::tally::Tally;
use crate::lab::apt;
use elf::Image;
use list::{List, Place};
use source::{Purpose, Sources};

/// The greatest number of places in our code that may panic, apart from `async`. It is only ever
/// lowered, to the actual number.
const MOST: usize = 11;
/// How many entries of each list may still have `?` as their reason.
const UNARGUED: usize = 0;

/// Compares both lists with the built image.
pub fn check() -> Tally {
    let mut tally = Tally::default();
    tally.count(locations().is_ok());
    tally.count(aborts().is_ok());
    tally
}

/// Checks the places where a panic may start, in the image as shipped.
fn locations() -> Result<()> {
    step("panics", || {
        let image = Image::read(&paths::image().join("grantkit"))?;
        let mut sources = Sources::new(paths::root());
        let (mut ours, mut asynchronous, mut others) = (Vec::new(), 0, 0);
        for at in locations::of(&image) {
            let Some(text) = sources.line(&at.file, at.line) else {
                others += 1;
                continue;
            };
            match sources.purpose(&at) {
                Purpose::Panic => ours.push(Place { file: at.file, text, line: at.line }),
                Purpose::Async => asynchronous += 1,
                Purpose::Message => {}
            }
        }
        ensure!(others > 0, "no `Location` of the standard library found: has its layout changed?");
        ensure!(asynchronous > 0, "no `async fn` recognised: has its panic changed?");
        say(&format!(
            "        {} places of ours may panic, and {asynchronous} `async`",
            ours.len()
        ));
        compare("panics.txt", &ours)?;
        ensure!(ours.len() <= MOST, "{} places may panic, more than {MOST}", ours.len());
        Ok(())
    })
}

/// Checks the places from which a failed allocation aborts the guest. For this the image is built
/// again, with line tables, without the outliner, which moves calls out of their functions, and
/// without merging equal functions.
fn aborts() -> Result<()> {
    step("aborts", || {
        let folder = paths::target().join("plain");
        let shown = folder.to_string_lossy();
        let tables = "profile.release.debug='line-tables-only'";
        let separate = ["-Cllvm-args=-enable-machine-outliner=never", "-Clink-arg=--icf=none"];
        let separate = format!("target.{TARGET}.rustflags={separate:?}");
        apt::installed("addr2line", &["binutils"])?;
        let which = ["-p", "image", "--bin", "grantkit", "--target-dir", &shown];
        let more = ["--config", tables, "--config", &separate];
        cargo::release("build-plain", TARGET, &[&which[..], &more[..]].concat())?;
        let built = folder.join(TARGET).join("release/grantkit");
        let image = Image::read(&built)?;
        let mut sources = Sources::new(paths::root());
        let ours = calls::sites(&image, |sites| {
            let chains = lines::chains(&built, sites)?;
            Ok(chains.into_iter().map(|chain| sources.innermost(&chain)).collect())
        })?;
        say(&format!("        {} places of ours may abort without memory", ours.len()));
        compare("aborts.txt", &ours)
    })
}

fn compare(name: &str, found: &[Place]) -> Result<()> {
    let path = paths::root().join("lab").join(name);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", paths::shown(&path)))?;
    List::parse(&text)
        .and_then(|list| list.compare(found, UNARGUED))
        .with_context(|| format!("lab/{name}"))
}
