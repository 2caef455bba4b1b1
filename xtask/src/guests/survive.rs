// SPDX-License-Identifier: MIT OR Apache-2.0
//! The granter survives a mapper that is destroyed while it maps 64 pages.
//!
//! Made from dom0 at the two guests' prompts. The granter must notice within a second, get every
//! page back, and serve a mapper that is new.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::config::Settings;
use super::life;
use super::sharing::Sharing;
use crate::judge::counts::Counts;
use crate::judge::reply::value;
use crate::lab::{Lab, PATIENCE};

/// Pages that are shared.
const PAGES: u32 = 64;
/// How soon a peer's death must be noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// Destroys the mapper and creates another one; what was proved, in words.
pub fn survive(lab: &mut Lab) -> Result<String> {
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

    let new = life::create(lab, "mapper", "mapper", &Settings::none().extra(""))?;
    let sharing = Sharing::start(lab, PAGES)?;
    sharing.both_ways(lab)?;
    sharing.end(lab)?;
    counts(lab)?.same(&before)?;
    Ok(format!(
        "{PAGES} pages freed {} ms after xl destroy began; domain {new} served",
        ended.as_millis()
    ))
}

/// What the granter counts.
fn counts(lab: &mut Lab) -> Result<Counts> {
    Ok(lab.counts("granter")?.but_heap())
}
