// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mutants that mean something: what a hurried maintainer might write, one at a time, and whether
//! the tests notice.
//!
//! The lists are in `xtask/mutants/`. Each mutant is applied in a copy of the repository with a
//! target directory of its own, never in the repository itself. It is killed if one of the tests
//! that its list names fails, or never ends. A mutant whose line is no more there, or that does not
//! build, is a mistake in the list and fails the run, as one that survives does.

mod list; // the lists: what is replaced by what, and who should notice
mod tree; // the copy in which mutants live

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Arg, ArgAction, ArgMatches};

use self::list::Mutant;
use self::tree::{Outcome, Tree};
use crate::host::steps::{clocked, say, step};

/// How long the tests of one mutant may run: they take some seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// What follows the word.
pub fn arguments() -> Vec<Arg> {
    let words = Arg::new("words").value_name("WORD").num_args(0..);
    let list = Arg::new("list").long("list").action(ArgAction::SetTrue);
    vec![
        words.help("Only mutants with one of these words in their name, their file or their list"),
        list.help("Check that each applies, show them, and run nothing"),
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
