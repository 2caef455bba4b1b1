// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: one subcommand per command, and one per tier.

mod attach; // connects the terminal to the guests' consoles
mod check; // the whole test: format, lints, documentation, host tests, Miri, the tiers
mod demo; // two guests share memory, and a report
mod mutants; // whether the tests catch plausible mistakes
mod new; // a new guest crate from the template
mod release; // a release archive
mod run; // guests of the user's choice, with their consoles on the terminal
mod shell; // two guests at their prompts

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::guests::image;
use crate::host::alone::Alone;
use crate::lab::{Mode, hypervisor};
use crate::panics;
use crate::tiers::{self, Choice, Extent, Run, TIERS, Tier};

/// A command other than a tier.
struct Word {
    name: &'static str,
    about: &'static str,
    arguments: fn() -> Vec<Arg>,
    run: fn(&ArgMatches) -> Result<()>,
}

const WORDS: &[Word] = &[
    Word {
        name: "demo",
        about: "Two guests created by xl share memory (the default)",
        arguments: || vec![pvh()],
        run: |matches| demo::command(mode(matches)),
    },
    Word {
        name: "shell",
        about: "Two guests at their prompts, one of them on this terminal",
        arguments: || vec![pvh()],
        run: |matches| shell::command(mode(matches)),
    },
    Word {
        name: "run",
        about: "Boot an example, your own crate or an ELF file; several run side by side",
        arguments: run::arguments,
        run: |matches| run::command(matches, &[]),
    },
    Word {
        name: "boot",
        about: "Boot an ELF file; `cargo run` in your own crate calls this",
        arguments: run::boot_arguments,
        run: run::boot,
    },
    Word {
        name: "new",
        about: "Create a crate of your own: a guest, its test, its xl configuration",
        arguments: new::arguments,
        run: new::command,
    },
    Word {
        name: "build",
        about: "Build the image and put it into target/xen, with its xl configurations",
        arguments: Vec::new,
        run: |_| image::build(),
    },
    Word {
        name: "release",
        about: "Pack the kernel, its xl configurations and checksums into one archive",
        arguments: release::arguments,
        run: release::command,
    },
    Word {
        name: "panics",
        about: "Compare where the image can panic or abort with lab/panics.txt and lab/aborts.txt",
        arguments: Vec::new,
        run: |_| panics(),
    },
    Word {
        name: "test",
        about: "Everything: format, lints, documentation, host tests, Miri, panics, every tier",
        arguments: Vec::new,
        run: |_| check::everything(),
    },
    Word {
        name: "soak",
        about: "Every tier in full, which takes a long time",
        arguments: Vec::new,
        run: |_| soak(),
    },
    Word {
        name: "mutants",
        about: "Check that the tests notice each of a list of mistakes, in a copy of the repository",
        arguments: mutants::arguments,
        run: mutants::command,
    },
];

/// The command line as clap knows it.
pub fn line() -> Command {
    let words = WORDS
        .iter()
        .map(|word| Command::new(word.name).about(word.about).args((word.arguments)()))
        .chain(TIERS.iter().map(tier));
    let line = Command::new("./run.sh").bin_name("./run.sh").subcommands(words);
    line.about("Builds, boots and tests Grantkit.").version(env!("CARGO_PKG_VERSION"))
}

/// Parses the command line: the first part, then one part for each further guest after a `+`.
///
/// # Errors
/// If part of it can't be parsed, or help or the version was asked for.
pub fn understood(
    typed: impl Iterator<Item = OsString>,
) -> Result<(ArgMatches, Vec<ArgMatches>), clap::Error> {
    let typed: Vec<OsString> = typed.collect();
    let several = typed.get(1).is_some_and(|word| word == "run");
    let mut lines = typed.split(|word| several && word == "+");
    let first = line().try_get_matches_from(lines.next().unwrap_or_default())?;
    let more = lines.map(|line| run::one_more().try_get_matches_from(line));
    Ok((first, more.collect::<Result<_, _>>()?))
}

/// Runs the parsed command.
pub fn perform((matches, more): &(ArgMatches, Vec<ArgMatches>)) -> Result<()> {
    // `new` and `mutants` write nothing that another run reads.
    let named = matches.subcommand_name();
    let _alone = match named {
        Some("new" | "mutants") => None,
        _ => Some(Alone::here()?),
    };
    let Some((name, matches)) = matches.subcommand() else { return demo::command(Mode::Pv) };
    if name == "run" {
        return run::command(matches, more);
    }
    if let Some(tier) = TIERS.iter().find(|tier| tier.name == name) {
        let full = tier.full.is_some() && matches.get_flag("full");
        let extent = tier.extent(full);
        let xen = matches.get_one::<PathBuf>("xen");
        let xen = xen.map(|file| hypervisor::given(file)).transpose()?;
        let mode = if tier.pvh { mode(matches) } else { Mode::Pv };
        let chosen = |choice: &Choice| {
            if choice.names.is_none() {
                return Ok(matches.get_flag(choice.option).then(String::new));
            }
            let typed = matches.get_one::<String>(choice.option);
            typed.map(|typed| choice.of(typed)).transpose()
        };
        let choice = tier.choice.as_ref().map_or(Ok(None), chosen)?;
        return tier.command(&Run { extent, xen, mode, choice });
    }
    let word = WORDS.iter().find(|word| word.name == name);
    word.map_or(Ok(()), |word| (word.run)(matches))
}

/// Reports a bad command line: an unknown command in one line that suggests similar ones, anything
/// else in clap's own words.
pub fn refuse(error: &clap::Error) -> ExitCode {
    match unknown(error) {
        Some(line) => eprintln!("error: {line}"),
        None => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn tier(tier: &Tier) -> Command {
    let full = tier.full.map(|full| {
        let help = format!("Run as much as `soak` does: {full} instead of {}", tier.small);
        Arg::new("full").long("full").action(ArgAction::SetTrue).help(help)
    });
    let xen = Arg::new("xen").long("xen").value_name("FILE").value_parser(value_parser!(PathBuf));
    let xen = xen.help("Run on this hypervisor (gzip or ELF) instead of Debian's");
    let choice = tier.choice.as_ref().map(|choice| {
        let option = Arg::new(choice.option).long(choice.option).help(choice.about);
        match choice.names {
            Some(_) => option.value_name("NAME"),
            None => option.action(ArgAction::SetTrue),
        }
    });
    let command = Command::new(tier.name).about(tier.about).args(full).arg(xen).args(choice);
    command.args(tier.pvh.then(pvh))
}

/// The option that makes xl create PVH guests.
fn pvh() -> Arg {
    let help = "Have xl create PVH guests instead of PV ones";
    Arg::new("pvh").long("pvh").action(ArgAction::SetTrue).help(help)
}

/// The mode that option selects.
fn mode(matches: &ArgMatches) -> Mode {
    if matches.get_flag("pvh") { Mode::Pvh } else { Mode::Pv }
}

fn unknown(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        Some(ContextValue::Strings(words)) => {
            // clap puts the nearest last.
            words.iter().rev().map(String::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    };
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let word = text(ContextKind::InvalidSubcommand);
    Some(match text(ContextKind::SuggestedSubcommand) {
        near if near.is_empty() => format!("no command `{word}`; ./run.sh help lists them"),
        near => format!("no command `{word}`; did you mean {near}?"),
    })
}

/// `./run.sh panics`
fn panics() -> Result<()> {
    image::build()?;
    panics::check().verdict("panics")
}

/// `./run.sh soak`
fn soak() -> Result<()> {
    image::build()?;
    tiers::run_all(Extent::Full, &mut || {})?.verdict("soak")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<ArgMatches, clap::Error> {
        line().try_get_matches_from([&["./run.sh"], words].concat())
    }

    #[test]
    fn the_command_line_is_consistent() {
        line().debug_assert();
    }

    #[test]
    fn every_tier_is_a_command_and_has_a_full_form_where_the_table_says_so() {
        for tier in TIERS {
            assert!(parsed(&[tier.name]).is_ok(), "{}", tier.name);
            assert!(parsed(&[tier.name, "--xen", "boot/xen.gz"]).is_ok(), "{}", tier.name);
            assert_eq!(
                parsed(&[tier.name, "--full"]).is_ok(),
                tier.full.is_some(),
                "{}",
                tier.name
            );
            assert_eq!(parsed(&[tier.name, "--pvh"]).is_ok(), tier.pvh, "{}", tier.name);
            if let Some(choice) = tier.choice.as_ref().filter(|choice| choice.names.is_some()) {
                let option = format!("--{}", choice.option);
                assert!(parsed(&[tier.name, &option, "x"]).is_ok(), "{}", tier.name);
                let why = choice.of("no such").unwrap_err().to_string();
                assert!(why.contains("`no such`; there is ") && !why.contains('\n'), "{why}");
            } else if let Some(Choice { option, .. }) = tier.choice {
                assert!(parsed(&[tier.name, &format!("--{option}")]).is_ok(), "{}", tier.name);
            }
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_similar_ones() {
        let line = |word| unknown(&parsed(&[word]).unwrap_err()).unwrap();
        assert_eq!(line("smok"), "no command `smok`; did you mean smoke or soak?");
        assert_eq!(line("exhaust"), "no command `exhaust`; did you mean exhaustion?");
        assert_eq!(line("zzz"), "no command `zzz`; ./run.sh help lists them");
    }

    #[test]
    fn other_mistakes_are_left_to_clap() {
        assert_eq!(unknown(&parsed(&["smoke", "--full"]).unwrap_err()), None);
        assert_eq!(unknown(&parsed(&["run"]).unwrap_err()), None);
    }

    #[test]
    fn each_guest_after_a_plus_has_its_own_arguments() {
        let typed = [
            "./run.sh",
            "run",
            "hello",
            "--domu",
            "--pvh",
            "--",
            "--x",
            "+",
            "share",
            "--memory=4",
        ];
        let (first, more) = understood(typed.into_iter().map(OsString::from)).unwrap();
        let first = first.subcommand_matches("run").unwrap();
        let words: Vec<_> = first.get_many::<String>("words").unwrap().collect();
        assert_eq!(words, ["--x"]);
        assert_eq!(more.len(), 1);
        assert_eq!(more[0].get_one::<u64>("memory"), Some(&4));
        let nothing = ["./run.sh", "run", "hello", "+"].into_iter().map(OsString::from);
        assert!(understood(nothing).is_err());
    }
}
