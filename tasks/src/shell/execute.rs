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

/// Bytes set aside for a result line: those of any command that lets go of something or looks at
/// what is in use, and of any error line but its words.
const SET_ASIDE: usize = 512;

/// Memory for a result line, set aside: with none left, commands that give some back still answer.
pub(super) fn set_aside() -> Option<Text> {
    Text::with_room(SET_ASIDE)
}

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// Runs one command and prints its result line.
    pub(super) async fn execute(&mut self, line: &str) {
        match COMMANDS.find(line) {
            Found::Command(command, rest) => {
                let mut ok = mem::take(&mut self.line);
                ok.clear();
                let mut args = Args::new(command, rest);
                let begun = write!(ok, "ok {}", command.name).map_err(Failure::from);
                let done = match begun {
                    Ok(()) => table::run(self, command, &mut args, &mut ok).await,
                    Err(failure) => Err(failure),
                };
                self.line = ok;
                match done {
                    Ok(()) => self.answer().await,
                    Err(failure) => self.refuse(command.name, failure).await,
                }
            }
            Found::Group(word) => self.refuse(word, COMMANDS.not_in_group(word)).await,
            Found::Unknown("") => {}
            Found::Unknown(word) => self.refuse(word, COMMANDS.unknown(word)).await,
        }
    }

    /// Prints the line that a successful command has written.
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
            // Not even memory for the line: it is printed in pieces, without its words.
            self.line.clear();
            let _ = failure.write_end(&mut self.line);
            for piece in ["error ", command, self.line.as_str()] {
                console.print(piece.as_bytes()).await;
            }
        }
        self.put_back();
    }

    /// Gives back what a long line took beyond what is set aside, if memory allows.
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
