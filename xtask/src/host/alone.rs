//! One run at a time in a target folder: two would write the same logs and boot each other's files.

use std::fs::{self, File};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::paths;

/// Set for a run that another one has started, and whose folder it is.
const WITHIN: &str = "GRANTKIT_WITHIN";

/// That no other run is at work here, as long as it is kept.
pub struct Alone(#[expect(dead_code, reason = "kept for its end")] Option<Flock<File>>);

impl Alone {
    /// Takes the folder.
    ///
    /// # Errors
    /// One line, if another run has it or nothing can be written there.
    pub fn here() -> Result<Self> {
        if std::env::var_os(WITHIN).is_some() {
            return Ok(Self(None));
        }
        let folder = paths::lab();
        let file = fs::create_dir_all(&folder).and_then(|()| File::create(folder.join(".lock")));
        let file = file.with_context(|| {
            let shown = paths::shown(&folder);
            format!("cannot write to {shown}; CARGO_TARGET_DIR=<folder> takes another one")
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(Some(lock))),
            Err((_, Errno::EWOULDBLOCK)) => bail!(
                "another run is at work in {}: wait for its end, or give this one a folder of its \
                 own: CARGO_TARGET_DIR=<folder>",
                paths::shown(&folder)
            ),
            Err((_, errno)) => bail!("cannot lock {}: {errno}", paths::shown(&folder)),
        }
    }
}

/// Lets a command that this run starts work in the same folder.
pub fn within(command: &mut Command) -> &mut Command {
    command.env(WITHIN, "1")
}
