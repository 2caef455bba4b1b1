// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running one command, from its line to its result line.

use core::fmt::Write;
use core::mem;

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
        self.start_line().await;
        self.services.console.print(self.line.as_str().as_bytes()).await;
        self.services.console.print(b"\n").await;
        self.put_back();
    }

    /// Prints an error line.
    pub(super) async fn refuse(&mut self, command: &str, failure: Failure) {
        self.start_line().await;
        let console = &self.services.console;
        self.line.clear();
        if failure.write_line(&mut self.line, command).is_ok() {
            console.print(self.line.as_str().as_bytes()).await;
        } else {
            // No memory even for the line: print it in pieces, without its words.
            self.line.clear();
            let _ = failure.write_end(&mut self.line);
            for piece in ["error ", command, self.line.as_str()] {
                console.print(piece.as_bytes()).await;
            }
        }
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

    /// Goes to the start of a line.
    pub(super) async fn start_line(&self) {
        if !self.services.console.at_line_start() {
            self.services.console.print(b"\n").await;
        }
    }
}
