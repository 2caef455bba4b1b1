// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running one command, from its line to its result line.

use core::fmt::Write;
use core::{iter, mem};

use drivers::memory::Platform;

use super::args::Args;
use super::command::Found;
use super::reply::Failure;
use super::state::Shell;
use super::table::{self, COMMANDS};
use crate::machine::Machine;
use crate::text::Text;

/// Bytes reserved for a result line: enough for any command that releases something or shows what
/// is in use, and for any error line apart from its words.
const SET_ASIDE: usize = 512;

/// Memory reserved for a result line, so that commands that free memory can answer even when none
/// is left.
pub(super) fn set_aside() -> Option<Text> {
    Text::with_room(SET_ASIDE)
}

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// Runs one command and prints its result line.
    pub(super) async fn execute(&mut self, line: &str) {
        // One place that refuses, since each contains a future.
        let (name, failure) = match COMMANDS.find(line) {
            Found::Command(command, rest) => {
                let mut ok = mem::take(&mut self.line);
                ok.clear();
                let mut args = Args::new(command, rest);
                let begun = write!(ok, "ok {}", command.name()).map_err(Failure::from);
                let ready = match (begun, args.name()) {
                    (Ok(()), Some(name)) => self.named(name).await.map(|to| args.set_named(to)),
                    (begun, _) => begun,
                };
                let done = match ready {
                    Ok(()) => table::run(self, command, &mut args, &mut ok).await,
                    Err(failure) => Err(failure),
                };
                self.line = ok;
                match done {
                    Ok(()) => return self.answer().await,
                    Err(failure) => (command.name(), failure),
                }
            }
            Found::Group(word) => (word, COMMANDS.not_in_group(word)),
            Found::Unknown("") => return,
            Found::Unknown(word) => (word, COMMANDS.unknown(word)),
        };
        self.refuse(name, failure).await;
    }

    /// Prints the result line of a successful command.
    async fn answer(&mut self) {
        self.print_line(&[self.line.as_str(), "\n"]).await;
        self.put_back();
    }

    /// Prints an error line.
    pub(super) async fn refuse(&mut self, command: &str, failure: Failure) {
        self.line.clear();
        let mut before = ["", ""];
        if failure.write_line(&mut self.line, command).is_err() {
            // No memory even for the line: print it in pieces, without its words.
            before = ["error ", command];
            self.line.clear();
            let _ = failure.write_end(&mut self.line);
        }
        self.print_line(&[before[0], before[1], self.line.as_str()]).await;
        self.put_back();
    }

    /// Frees what a long line took beyond the reserve, if memory allows.
    fn put_back(&mut self) {
        if self.line.room() > SET_ASIDE
            && let Some(line) = set_aside()
        {
            self.line = line;
        }
    }

    /// Prints pieces of text on a new line.
    pub(super) async fn print_line(&self, pieces: &[&str]) {
        let before = if self.services.console.at_line_start() { "" } else { "\n" };
        self.print(before, pieces).await;
    }

    /// Prints pieces of text, the first of them apart.
    pub(crate) async fn print(&self, before: &str, pieces: &[&str]) {
        // One place that prints, since each contains a future.
        for piece in iter::once(&before).chain(pieces) {
            self.services.console.print(piece.as_bytes()).await;
        }
    }
}
