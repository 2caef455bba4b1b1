// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the scenarios of the `conformance` crate on Linux's own devices, with grants to this domain
//! itself.
//!
//! Prints the transcript and its last line. Arguments, if any, select the scenarios whose names
//! contain one of them.

mod linux; // the devices, through system calls

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let mut linux = match linux::Linux::new() {
        Ok(linux) => linux,
        Err(error) => {
            eprintln!("conformance: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut out = std::io::stdout().lock();
    let mut lines = 0;
    for scenario in conformance::all().filter(|scenario| wanted(scenario.name)) {
        scenario.run(&mut linux, &mut |line| {
            lines += 1;
            // If the reader has gone away, it misses the last line, too.
            let _ = writeln!(out, "{line}");
        });
        let _ = out.flush();
    }
    let _ = writeln!(out, "{}", conformance::last_line(lines));
    ExitCode::SUCCESS
}
