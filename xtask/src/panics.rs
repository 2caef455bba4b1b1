// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of ours can panic or abort in the image, and the lists that say why none of it happens.
//!
//! `lab/panics.txt` has each place where a panic of ours may begin: every `core::panic::Location`
//! in the linked image that names a file of this repository. `lab/aborts.txt` has each from which
//! an allocation that fails would end the guest. The check fails when one is new, and when one that
//! is listed is gone. An `async fn` that is polled after its end panics, too; only `.await` and the
//! executor poll, and neither polls what has ended, so that these are counted and not listed. Nor
//! are messages of the crate `log`, which have a `Location`, too.

mod calls; // who calls whom, and who holds a table of functions
pub mod elf; // an image as it lies in memory
mod lines; // the source line behind an instruction
mod list; // the lists, and what differs from them
mod locations; // every `Location`
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

/// How many places of ours may panic at most, `async` apart: more than 60 are too many, and it is
/// there to be lowered to what is true.
const MOST: usize = 11;
/// How many of each list may still have `?` for a reason. It is there to be lowered to none.
const UNARGUED: usize = 0;

/// Compares both lists with the image that was built.
pub fn check() -> Tally {
    let mut tally = Tally::default();
    tally.count(locations().is_ok());
    tally.count(aborts().is_ok());
    tally
}

/// The places where a panic may begin, in the image as it is shipped.
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
        ensure!(others > 0, "no `Location` of the standard library's: has its layout changed?");
        ensure!(asynchronous > 0, "no `async fn` is recognised: has what it panics with changed?");
        say(&format!("        {} of ours may panic, and {asynchronous} `async`", ours.len()));
        compare("panics.txt", &ours)?;
        ensure!(ours.len() <= MOST, "{} may panic, more than {MOST}", ours.len());
        Ok(())
    })
}

/// The places from which an allocation that fails ends the guest. For these the image is built once
/// more, with line tables, and without the outliner, which takes calls out of their functions.
fn aborts() -> Result<()> {
    step("aborts", || {
        let folder = paths::target().join("plain");
        let shown = folder.to_string_lossy();
        let tables = "profile.release.debug='line-tables-only'";
        let outliner =
            format!("target.{TARGET}.rustflags=['-Cllvm-args=-enable-machine-outliner=never']");
        apt::installed("addr2line", &["binutils"])?;
        let which = ["-p", "image", "--bin", "grantkit", "--target-dir", &shown];
        let more = ["--config", tables, "--config", &outliner];
        cargo::release("build-plain", TARGET, &[&which[..], &more[..]].concat())?;
        let built = folder.join(TARGET).join("release/grantkit");
        let image = Image::read(&built)?;
        let mut sources = Sources::new(paths::root());
        let ours = calls::sites(&image, |sites| {
            let chains = lines::chains(&built, sites)?;
            Ok(chains.into_iter().map(|chain| sources.innermost(&chain)).collect())
        })?;
        say(&format!("        {} of ours may abort without memory", ours.len()));
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
