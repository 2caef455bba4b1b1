// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that prints 1 MiB at once and then sleeps, without anyone in it who reads input: all of
//! it must come, in order, by itself.
//!
//! A program in dom0 listens (lab/dom0/src/bin/listen.rs): the way out of dom0 is far slower.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::dom0::MUTE;
use anyhow::{Context, Result, ensure};

use crate::guests::config::{self, Settings};
use crate::guests::life;
use crate::judge::reply::number;
use crate::lab::{Lab, PATIENCE, dom0};

/// The kernel and its configuration: lab/trials/src/bin/talk.rs.
const KIND: &str = "talk";
/// Lines, of 64 bytes each.
const LINES: u64 = 16_384;
const BYTES: u64 = LINES * 64;
/// What all of it may take: ten times what it takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The guest's files, and the program that listens.
pub fn files() -> Result<Vec<PathBuf>> {
    let settings = Settings::none().memory(4).extra(&format!("lines={LINES}"));
    let mut files = config::files(KIND, settings)?.to_vec();
    files.push(dom0::program("listen")?);
    Ok(files)
}

/// The whole check; how long it took, in words.
pub fn check(lab: &mut Lab) -> Result<String> {
    let guest = format!("{MUTE}{KIND}");
    let listener = lab.start(&["./listen", &guest, &LINES.to_string()])?;
    let ready = |lab: &Lab| lab.output(listener).contains("listen: ready").then_some(());
    lab.until(PATIENCE, ready).context("nobody listens")?;
    let started = Instant::now();
    life::create(lab, &guest, KIND, &Settings::none())?;
    let heard = finish(lab, listener);
    let took = started.elapsed();
    life::remove(lab, &guest)?;
    let heard = heard?;
    let bytes = number(&heard, "bytes")?;
    ensure!(number(&heard, "lines")? == LINES && bytes >= BYTES, "{heard}");
    Ok(format!("{bytes} bytes in {LINES} lines within {} ms", took.as_millis()))
}

/// What the listener says in the end.
fn finish(lab: &mut Lab, listener: u32) -> Result<String> {
    let line = |lab: &Lab| {
        let said = lab.written(listener);
        said.into_iter().find(|line| line.starts_with("ok ") || line.starts_with("Error"))
    };
    let line = lab.until(LIMIT, line);
    match line {
        Ok(line) => lab.finish(listener).map(|_| line),
        Err(error) => {
            lab.kill(listener)?;
            Err(error).context("not all of it has come")
        }
    }
}
