// SPDX-License-Identifier: MIT OR Apache-2.0
//! Allows one run at a time in a target folder: two would write the same logs and boot each other's
//! files.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::paths;

/// The variable that is set for a run started by another run in the same folder.
pub const WITHIN: &str = "GRANTKIT_WITHIN";

/// A lock: while it exists, no other run works in the folder.
pub struct Alone(#[expect(dead_code, reason = "kept for its end")] Option<Flock<File>>);

impl Alone {
    /// Locks this run's folder.
    ///
    /// # Errors
    /// If another run has it, or nothing can be written there; the message is one line.
    pub fn here() -> Result<Self> {
        if std::env::var_os(WITHIN).is_some() {
            return Ok(Self(None));
        }
        Self::in_folder(&paths::lab())
    }

    fn in_folder(folder: &Path) -> Result<Self> {
        let file = fs::create_dir_all(folder).and_then(|()| File::create(folder.join(".lock")));
        let file = file.with_context(|| {
            let shown = paths::shown(folder);
            format!("cannot write to {shown}; set CARGO_TARGET_DIR=<folder> to use another")
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(Some(lock))),
            Err((_, Errno::EWOULDBLOCK)) => bail!(
                "another run is at work in {}: wait for it to end, or give this one its own folder \
                 with CARGO_TARGET_DIR=<folder>",
                paths::shown(folder)
            ),
            Err((_, errno)) => bail!("cannot lock {}: {errno}", paths::shown(folder)),
        }
    }
}

/// Lets a command that this run starts use the same folder.
pub fn within(command: &mut Command) -> &mut Command {
    command.env(WITHIN, "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_to_wait_or_take_another_folder() {
        let folder = std::env::temp_dir().join(format!("grantkit-alone-{}", std::process::id()));
        let first = Alone::in_folder(&folder).unwrap();
        let error = Alone::in_folder(&folder).err().unwrap().to_string();
        assert!(error.starts_with("another run is at work in "), "{error}");
        assert!(error.ends_with("CARGO_TARGET_DIR=<folder>"), "{error}");
        drop(first);
        Alone::in_folder(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
