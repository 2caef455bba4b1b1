//! Grantkit's host tool, behind `./run.sh <what>`.
//!
//! It fetches and unpacks Xen, builds the image, boots it in QEMU and judges what the console said.
//! A command exits 0 only if everything that it names was seen to pass. It refuses to wait without a limit
//! (only `run`, which belongs to a person, has none) and leaves no process behind.

mod across; // our guest and Linux's devices share with each other
mod apt; // tools that are installed, and where packages come from
mod check; // the whole test: format, lints, documentation, host tests, Miri, the tiers
mod children; // every process that the tool starts, and how it ends
mod conformance; // Linux's devices and ours, compared line by line
mod console; // one serial line, taken apart into guest and Xen
mod cpio; // an initramfs
mod debian; // Linux and Xen's tools from packages
mod demo; // two guests share memory, and the report
mod dom0; // the lab's dom0: Linux, Xen's tools, the agent, the guests
mod exhaustion; // the last grant, mapping and event channel
mod guest; // a guest from an example image
mod hostile; // a guest that means harm
mod image; // the kernel's ELF file and target/xen
mod judge; // what a console must have said
mod lab; // Xen with a Linux dom0, and guests that xl creates
mod leaks; // what is left behind by cycles of sharing and by killed peers
mod libraries; // what programs need to run
mod model; // random calls on a real Xen, against the model
mod packages; // Xen, unpacked and kept
mod pair; // all that needs xl and two guests
mod paths; // where things lie
mod proof; // the demo's steps
mod qemu; // Xen with one guest in dom0's place
mod run; // an example, with the console on the terminal
mod shell; // a person at the guests' consoles
mod smoke; // boots and crashes that must go right
mod soak; // every tier in full
mod steps; // one line as a step starts and as it ends
mod survive; // the demo's step that dom0 makes
mod tally; // checks, counted
mod terminal; // the terminal that a person sits at
mod tiers; // what needs Xen, small and in full

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, error::ErrorKind};

/// Builds, boots and tests Grantkit.
#[derive(Parser)]
#[command(bin_name = "./run.sh", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Two guests, started by xl under a Linux dom0, share memory (what happens without a word)
    Demo,
    /// Build the kernel and put it into target/xen, beside its xl configurations
    Build,
    /// Boot it under Xen in QEMU: self-test, and every crash that must leave a dump
    Smoke,
    /// Random calls of a guest that grants to itself, compared with the reference model after each
    Model {
        /// As many as in `soak`
        #[arg(long)]
        full: bool,
    },
    /// Two guests at their prompts, one of them on this terminal
    Shell,
    /// Build an example of the kernel crate and boot it with the console on this terminal
    Run {
        /// Its name; the file is kernel/examples/NAME.rs
        #[arg(value_name = "NAME")]
        example: String,
        /// Start it with xl under a Linux dom0, not in dom0's place
        #[arg(long)]
        domu: bool,
        /// The guest's command line
        #[arg(last = true)]
        words: Vec<String>,
    },
    /// The demo in both orders, and what xl does to a guest: pause, reboot, shutdown, crash
    Pair,
    /// Our guest and Linux's grant devices share with each other, whatever becomes of either
    Across {
        /// As often as in `soak`
        #[arg(long)]
        full: bool,
    },
    /// The same scenarios on Linux's grant devices and on ours, compared line by line
    Conformance,
    /// The last grant, mapping and event channel of a guest with small tables
    Exhaustion {
        /// As often as in `soak`
        #[arg(long)]
        full: bool,
    },
    /// Cycles of sharing, and peers killed at random moments: nothing is left behind
    Leaks {
        /// As often as in `soak`
        #[arg(long)]
        full: bool,
    },
    /// A guest that means harm, and two that it does none to: one line for each attack
    Hostile {
        /// As often as in `soak`
        #[arg(long)]
        full: bool,
    },
    /// Everything: format, lints, documentation, host tests, Miri, every tier on Xen in its small form
    Test,
    /// Every tier on Xen in full, which takes long
    Soak,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match children::stop_all_on_signals().and_then(|()| perform(cli.what.unwrap_or(What::Demo))) {
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
        What::Demo => demo::command(),
        What::Build => image::build(),
        What::Smoke => smoke::command(),
        What::Model { full } => model::command(full),
        What::Shell => shell::command(),
        What::Run { example, domu: true, words } => run::domu(&example, &words.join(" ")),
        What::Run { example, domu: false, words } => run::example(&example, &words.join(" ")),
        What::Pair => pair::command(),
        What::Across { full } => across::command(full),
        What::Conformance => conformance::command(),
        What::Exhaustion { full } => exhaustion::command(full),
        What::Leaks { full } => leaks::command(full),
        What::Hostile { full } => hostile::command(full),
        What::Test => check::everything(),
        What::Soak => soak::command(),
    }
}

/// An unknown word gets one line that names it and the known ones; the rest is clap's own message.
fn refuse(error: &clap::Error) -> ExitCode {
    if error.kind() == ErrorKind::InvalidSubcommand {
        let word = std::env::args().nth(1).unwrap_or_default();
        eprintln!(
            "error: no command `{word}`; there are demo, build, smoke, model, pair, conformance, across, exhaustion, leaks, hostile, shell, run <name>, test, soak"
        );
        return ExitCode::from(2);
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
