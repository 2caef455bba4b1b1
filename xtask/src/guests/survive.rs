// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that the granter survives the destruction of a mapper that maps 64 of its pages.
//!
//! dom0 drives both guests from their prompts. The granter must notice within a second, get every
//! page back, and serve a new mapper.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::config::Settings;
use super::life;
use super::sharing::Sharing;
use crate::judge::counts::Counts;
use crate::judge::reply::value;
use crate::lab::{Lab, PATIENCE};

/// The number of shared pages.
const PAGES: u32 = 64;
/// How soon a peer's death must be noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// Destroys the mapper and creates another one with these settings; returns what was proved, in
/// words.
pub fn survive(lab: &mut Lab, settings: &Settings) -> Result<String> {
    let before = counts(lab)?;
    let sharing = Sharing::start(lab, PAGES)?;
    sharing.both_ways(lab)?;
    let state = lab.ask("granter", &format!("state {}", sharing.share))?;
    let mapped = format!("mapped-rw*{PAGES}");
    ensure!(value(&state, "states")? == mapped, "before the end: {state}");
    let mark = lab.command("granter", &format!("wait {} 10000", sharing.share))?;
    let started = Instant::now();
    lab.xl(&["destroy", "mapper"])?;
    let destroyed = Instant::now();
    let waited = lab.answer("granter", mark, PATIENCE)?;
    let (noticed, ended) = (destroyed.elapsed(), started.elapsed());
    ensure!(waited.starts_with("ok wait "), "the granter answered: {waited}");
    ensure!(noticed <= NOTICED, "noticed after {} ms", noticed.as_millis());
    ensure!(lab.domid("mapper")?.is_none(), "the mapper is still there");
    sharing.unshare(lab)?;
    counts(lab)?.same(&before)?;

    let new = life::create(lab, "mapper", "mapper", &settings.clone().extra(""))?;
    let sharing = Sharing::start(lab, PAGES)?;
    sharing.both_ways(lab)?;
    sharing.end(lab)?;
    counts(lab)?.same(&before)?;
    Ok(format!(
        "{PAGES} pages freed {} ms after xl destroy began; domain {new} served",
        ended.as_millis()
    ))
}

/// The granter's counts, without its heap.
fn counts(lab: &mut Lab) -> Result<Counts> {
    Ok(lab.counts("granter")?.but_heap())
}
