//! What each command does.
//!
//! A command takes its arguments, does its work and appends its keys to the `ok` line; a failure
//! is returned, and whatever was begun is undone by then.

mod memory;
mod port;
mod share;
mod system;
mod usage;
mod watch;
mod xs;

use core::fmt::Write;
use core::pin::pin;

use drivers::memory::Platform;
use drivers::{Errno, Error};

use super::Shell;
use super::args::Args;
use super::reply::{Done, Failure};
use super::table::{self, COMMANDS, Command, Verb};
use crate::Machine;
use crate::text::Text;
use crate::verdict::Tally;
use crate::{demo, selftest};

/// Runs a command.
pub(super) async fn run<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    command: &'static Command,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    match command.verb {
        Verb::Share => share::share(shell, args, ok),
        Verb::Map => share::map(shell, args, ok).await,
        Verb::Unmap => share::unmap(shell, args, ok),
        Verb::Unshare => share::unshare(shell, args, ok),
        Verb::State => watch::state(shell, args, ok).await,
        Verb::Notify => watch::notify(shell, args, ok),
        Verb::Wait => watch::wait(shell, args, ok).await,
        Verb::Read => memory::read(shell, args, ok),
        Verb::Write => memory::write(shell, args, ok),
        Verb::Fill => memory::fill(shell, args, ok).await,
        Verb::Sum => memory::sum(shell, args, ok).await,
        Verb::Grants => usage::grants(shell, args, ok).await,
        Verb::XsRead => xs::read(shell, args, ok).await,
        Verb::XsWrite => xs::write(shell, args, ok).await,
        Verb::XsList => xs::list(shell, args, ok).await,
        Verb::XsRm => xs::rm(shell, args, ok).await,
        Verb::Status => usage::status(shell, args, ok),
        Verb::Counters => usage::counters(shell, args, ok).await,
        Verb::PortOffer => port::offer(shell, args, ok),
        Verb::PortBind => port::bind(shell, args, ok),
        Verb::PortSend => port::send(shell, args, ok),
        Verb::PortWait => port::wait(shell, args, ok).await,
        Verb::PortClose => port::close(shell, args, ok),
        Verb::Set => system::set(shell, args, ok),
        Verb::Help => system::help(shell, args, ok).await,
        Verb::Sleep => system::sleep(shell, args, ok).await,
        Verb::Crash => system::crash(shell, args),
        Verb::Poweroff => system::poweroff(shell, args),
        Verb::Reboot => system::reboot(shell, args),
        Verb::Selftest => {
            args.end()?;
            judge(selftest::run(&shell.services).await, ok)
        }
        Verb::DemoGranter => {
            args.end()?;
            let mut outcome = Ok(Tally::default());
            shell.wait(None, pin!(async { outcome = shell.granter.run().await })).await?;
            judge(outcome.map_err(failure)?, ok)
        }
        Verb::DemoMapper => {
            args.end()?;
            let mut outcome = Ok(Tally::default());
            shell.wait(None, pin!(async { outcome = demo::mapper(&shell.services).await })).await?;
            judge(outcome.map_err(failure)?, ok)
        }
    }
}

/// The keys of a test's end.
fn judge(tally: Tally, ok: &mut Text) -> Done {
    if tally.failed > 0 {
        return Err(Failure::new(Errno::EIO, format_args!("{tally}")));
    }
    Ok(write!(ok, " {tally}")?)
}

/// Why the demo can't go on.
fn failure((what, error): (&'static str, Error)) -> Failure {
    Failure::new(error.errno(), format_args!("{what}: {error}"))
}

/// A word that no command has.
pub(super) fn unknown(word: &str) -> Failure {
    let mut words = Text::new();
    let mut told = write!(words, "no such command");
    for (place, near) in table::near(word).enumerate() {
        let joint = if place == 0 { "; did you mean" } else { "," };
        told = told.and_then(|()| write!(words, "{joint} {near}"));
    }
    match told {
        Ok(()) => Failure::new(Errno::ENOSYS, format_args!("{}; help lists all", words.as_str())),
        Err(error) => error.into(),
    }
}

/// The first word of commands that have two, with no second one of theirs.
pub(super) fn not_in_group(word: &str) -> Failure {
    let mut words = Text::new();
    let group = |name: &&str| name.split_once(' ').is_some_and(|(one, _)| one == word);
    let mut told = write!(words, "the commands of this word are");
    for name in COMMANDS.iter().map(|command| command.name).filter(group) {
        told = told.and_then(|()| write!(words, " {name:?}"));
    }
    match told {
        Ok(()) => Failure::invalid(format_args!("{}", words.as_str())),
        Err(error) => error.into(),
    }
}
