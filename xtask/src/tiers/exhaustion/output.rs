// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that all output of a guest arrives, in order: it prints 1 MiB at once and then sleeps,
//! and no task in it reads input.
//!
//! A program in dom0 listens (lab/dom0/src/bin/listen.rs), because the way out of dom0 is far
//! slower.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::dom0::MUTE;
use anyhow::{Context, Result, ensure};

use crate::guests::config::{self, Settings};
use crate::guests::life;
use crate::judge::reply::number;
use crate::lab::{Lab, PATIENCE, dom0};

/// The name of the kernel and its configuration; the source is lab/trials/src/bin/talk.rs.
const KIND: &str = "talk";
/// The number of lines, of 64 bytes each.
const LINES: u64 = 16_384;
const BYTES: u64 = LINES * 64;
/// How long all of it may take: ten times what it takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// The guest's files, and the program that listens.
pub fn files() -> Result<Vec<PathBuf>> {
    let settings = Settings::none().memory(4).extra(&format!("lines={LINES}"));
    let mut files = config::files(KIND, settings)?.to_vec();
    files.push(dom0::program("listen")?);
    Ok(files)
}

/// Runs the check, and returns how long it took, in words.
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

/// Waits for the listener's last line.
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
            Err(error).context("not all of it arrived")
        }
    }
}
