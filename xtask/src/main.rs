//! Grantkit's host tool, behind `./run.sh <what>`.
//!
//! It fetches and unpacks Xen, builds the image, boots it in QEMU and judges what the console said.
//! A command exits 0 only if everything that it names was seen to pass. It refuses to wait without a limit
//! (only `run`, which belongs to a person, has none) and leaves no process behind.

mod apt; // tools that are installed, and where packages come from
mod check; // the whole test: format, lints, documentation, host tests, Miri, smoke
mod children; // every process that the tool starts, and how it ends
mod console; // one serial line, taken apart into guest and Xen
mod image; // the kernel's ELF file and target/xen
mod judge; // what a console must have said
mod packages; // Xen, unpacked and kept
mod paths; // where things lie
mod qemu; // Xen with one guest in dom0's place
mod run; // an example, with the console on the terminal
mod smoke; // boots and crashes that must go right
mod steps; // one line as a step starts and as it ends

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, error::ErrorKind};

/// Builds, boots and tests Grantkit.
#[derive(Parser)]
#[command(bin_name = "./run.sh", arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Build the kernel and put it into target/xen, beside its xl configurations
    Build,
    /// Boot it under Xen in QEMU: self-test, and every crash that must leave a dump
    Smoke,
    /// Build an example of the kernel crate and boot it with the console on this terminal
    Run {
        /// Its name; the file is kernel/examples/NAME.rs
        #[arg(value_name = "NAME")]
        example: String,
        /// The guest's command line
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// Everything: format, lints, documentation, host tests, Miri, smoke
    Test,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match children::stop_all_on_signals().and_then(|()| perform(cli.what)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if children::interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(what: What) -> Result<()> {
    match what {
        What::Build => image::build(),
        What::Smoke => smoke::command(),
        What::Run { example, words } => run::example(&example, &words.join(" ")),
        What::Test => check::everything(),
    }
}

/// An unknown word gets one line that names it and the known ones; the rest is clap's own message.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidSubcommand {
        let word = std::env::args().nth(1).unwrap_or_default();
        eprintln!("error: no command `{word}`; there are build, smoke, run <name>, test");
        return ExitCode::from(2);
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
