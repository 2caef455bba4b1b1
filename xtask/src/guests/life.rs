// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's life: creating it with xl, waiting for its prompt, removing it.

use std::time::Duration;

use anyhow::{Context, Result};

use super::config::Settings;
use crate::lab::{Lab, PATIENCE};

/// The demo's two guests.
pub const PAIR: [&str; 2] = ["granter", "mapper"];
/// The guest of checks that need only one.
pub const GUEST: &str = "guest";
/// The configuration of a guest that waits at its prompt.
pub const PLAIN: &str = "grantkit";

/// The prompt of a guest's shell.
const PROMPT: &[u8] = b"grantkit> ";

/// How long dom0's word of a fault may take.
const FAULT: Duration = Duration::from_secs(2);

/// Creates a guest from `<config>.cfg`, which `settings` override, and returns its domid.
pub fn create(lab: &mut Lab, guest: &str, config: &str, settings: &Settings) -> Result<u32> {
    let (file, own) = (format!("{config}.cfg"), Settings::of(lab.mode()).text("name", guest));
    let words: Vec<&str> =
        ["create", &file].into_iter().chain(own.words()).chain(settings.words()).collect();
    lab.xl(&words)?;
    lab.domid(guest)?.with_context(|| format!("{guest} ended at once"))
}

/// Creates [`GUEST`], waits until it is at its prompt, and returns its domid.
pub fn at_prompt(lab: &mut Lab, settings: &Settings) -> Result<u32> {
    let domid = create(lab, GUEST, PLAIN, settings)?;
    prompt(lab, 0)?;
    Ok(domid)
}

/// Waits until what [`GUEST`] printed after `mark` ends in its prompt.
pub fn prompt(lab: &mut Lab, mark: usize) -> Result<()> {
    let at_prompt = |lab: &Lab| lab.said(GUEST)[mark..].ends_with(PROMPT).then_some(());
    lab.until(PATIENCE, at_prompt).context("no prompt")
}

/// Removes any of [`PAIR`] and [`GUEST`] that exist.
pub fn clear(lab: &mut Lab) -> Result<()> {
    PAIR.into_iter().chain([GUEST]).try_for_each(|guest| remove(lab, guest))
}

/// Destroys a guest if it exists, and forgets its output.
pub fn remove(lab: &mut Lab, guest: &str) -> Result<()> {
    if lab.domid(guest)?.is_some() {
        let _ = lab.xl(&["destroy", guest]); // it may be ending by itself
    } else if lab.toolstack(guest).is_empty() {
        return Ok(());
    }
    forget(lab, guest)
}

/// Removes the same guests where xl itself was ended, so that it has no last word.
pub fn abandon(lab: &mut Lab) -> Result<()> {
    lab.expect_trouble(FAULT);
    for guest in PAIR.into_iter().chain([GUEST]) {
        if lab.domid(guest)?.is_some() {
            lab.xl(&["destroy", guest])?;
        }
        lab.forget(guest);
    }
    Ok(())
}

/// Waits until the toolstack has finished with a guest, and forgets its output.
pub fn forget(lab: &mut Lab, guest: &str) -> Result<()> {
    gone(lab, guest)?;
    lab.forget(guest);
    Ok(())
}

/// Waits until the toolstack has cleaned up after a guest.
pub fn gone(lab: &mut Lab, guest: &str) -> Result<()> {
    let gone = |lab: &Lab| lab.ended(guest).then_some(());
    lab.until(PATIENCE, gone).with_context(|| format!("{guest} is still there"))
}

/// Waits until the toolstack has seen a guest crash.
pub fn crashed(lab: &mut Lab, guest: &str) -> Result<()> {
    let crashed = |lab: &Lab| lab.crashed(guest).then_some(());
    lab.until(PATIENCE, crashed).context("xl did not see it crash")
}
