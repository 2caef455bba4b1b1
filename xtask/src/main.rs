// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grantkit's host tool, behind `./run.sh <what>`.
//!
//! It fetches and unpacks Xen, builds the guests, boots them in QEMU and judges what their consoles
//! said. A command exits 0 only if everything that it names was seen to pass, and 3 if all that could
//! be run passed, but not all could. The tool refuses to
//! wait without a limit (only `run` and `shell`, which belong to a person, have none) and leaves no
//! process behind.
//!
//! Modules use each other in one direction: `commands`, `panics`, `tiers`, `guests`, `lab`, `judge`,
//! `host`.

mod commands; // the command line, and one file per command
mod guests; // what several tiers do with guests
mod host; // this machine: processes, logs, paths, cargo
mod judge; // what guests must have said, and how checks are counted
mod lab; // Xen in QEMU: with one guest alone, or with a Linux dom0 and xl
mod panics; // what of ours can panic or abort, and why it doesn't
mod tiers; // the table of tiers, and one file per tier

use std::process::ExitCode;

fn main() -> ExitCode {
    let line = match commands::understood(std::env::args_os()) {
        Ok(line) => line,
        Err(error) => return commands::refuse(&error),
    };
    let result = host::children::stop_all_on_signals().and_then(|()| commands::perform(&line));
    host::steps::end();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if host::children::interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            let not_run = error.downcast_ref::<judge::tally::NotRun>();
            not_run.map_or(ExitCode::FAILURE, |_| ExitCode::from(3))
        }
    }
}
