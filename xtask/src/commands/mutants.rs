// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hand-written mutants: mistakes that a hurried maintainer might make, applied one at a time to
//! see whether the tests notice.
//!
//! The lists are in `xtask/mutants/`. Each mutant is applied to a copy of the repository with its
//! own target directory, never to the repository itself. It is killed if one of the tests its entry
//! names fails or never ends. The run fails if a mutant survives, or if its entry is stale: the
//! original line is gone, or the mutant doesn't build.

mod list; // the lists: replacements, and the tests that should notice
mod tree; // the copy that mutants are applied to

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches};

use self::list::Mutant;
use self::tree::{Outcome, Tree};
use crate::host::steps::{clocked, say, step};

/// How long the tests of one mutant may run; normally they take seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// The command's arguments.
pub fn arguments() -> Vec<Arg> {
    let words = Arg::new("words").value_name("WORD").num_args(0..);
    let list = Arg::new("list").long("list").action(ArgAction::SetTrue);
    vec![
        words.help("Only mutants with one of these words in their name, file or list"),
        list.help("Show them and check that each applies, without running any"),
    ]
}

/// `./run.sh mutants [--list] [<word>...]`
pub fn command(matches: &ArgMatches) -> Result<()> {
    let words: Vec<&String> = matches.get_many("words").into_iter().flatten().collect();
    let all = list::all()?;
    let chosen: Vec<&Mutant> = all
        .iter()
        .filter(|mutant| words.is_empty() || words.iter().any(|word| mutant.is_about(word)))
        .collect();
    if matches.get_flag("list") {
        chosen.iter().for_each(|mutant| say(&format!("{}: {}", mutant.name, mutant.thought)));
    }
    let stale: Vec<String> = chosen.iter().filter_map(|mutant| mutant.apply().err()).collect();
    stale.iter().for_each(|why| say(why));
    if !stale.is_empty() || chosen.is_empty() {
        bail!("{} of {} mutants apply", chosen.len() - stale.len(), chosen.len());
    }
    if matches.get_flag("list") {
        return Ok(());
    }
    run(&chosen)
}

fn run(chosen: &[&Mutant]) -> Result<()> {
    let tree = step("copy the repository", Tree::of_the_repository)?;
    step("tests without a mutant", || {
        let tests: BTreeSet<&[String]> = chosen.iter().map(|mutant| &*mutant.tests).collect();
        for tests in tests {
            match tree.test(tests, LIMIT)? {
                Outcome::Survived => {}
                outcome => bail!("{}: {outcome:?}", tests.join(" ")),
            }
        }
        Ok(())
    })?;
    let (mut killed, mut survived, mut useless) = (0, 0, 0);
    for mutant in chosen {
        let (outcome, seconds) = clocked(&mutant.name, || tree.with(mutant, LIMIT));
        let outcome = outcome?;
        let count = match &outcome {
            Outcome::Killed | Outcome::Endless => &mut killed,
            Outcome::Survived => &mut survived,
            Outcome::DoesNotBuild => &mut useless,
        };
        *count += 1;
        say(&format!("{:<13} {} ({seconds:.1} s)", outcome.word(), mutant.name));
    }
    say(&format!("{killed} killed, {survived} survived, {useless} did not build"));
    if survived + useless > 0 {
        bail!("not every mutant was killed");
    }
    Ok(())
}
