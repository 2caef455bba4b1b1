// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grantkit's host tool, behind `./run.sh <what>`.
//!
//! It fetches and unpacks Xen, builds the guests, boots them in QEMU and checks their console
//! output. A command exits with 0 only if everything it covers ran and passed, and with 3 if
//! everything that could run passed but something could not run. Every wait has a limit, except in
//! the interactive `run` and `shell`, and no process is left behind.
//!
//! Each module uses only those after it: `commands`, `panics`, `tiers`, `guests`, `lab`, `judge`,
//! `host`; only `guests` also uses `panics::elf`, to read images.

mod commands; // the command line, one file per command
mod guests; // what several tiers do with guests: build, create, drive
mod host; // this machine: processes, logs, paths, cargo
mod judge; // what guests must print, and how checks are counted
mod lab; // Xen in QEMU: with one guest alone, or with a Linux dom0 and xl
mod panics; // which of our code can panic or abort, and why it doesn't
mod tiers; // the table of tiers, one file per tier

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
