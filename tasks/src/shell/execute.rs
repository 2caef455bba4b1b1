//! Running one command, from its line to its result line.

use core::fmt::Write;

use drivers::memory::Platform;

use super::args::Args;
use super::command::Found;
use super::reply::{Done, Failure};
use super::state::Shell;
use super::table::{self, COMMANDS};
use crate::machine::Machine;
use crate::text::Text;

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// Runs one command and prints its result line.
    pub(super) async fn execute(&mut self, line: &str) {
        let mut ok = Text::new();
        match COMMANDS.find(line) {
            Found::Command(command, rest) => {
                let mut args = Args::new(command, rest);
                let begun = write!(ok, "ok {}", command.name).map_err(Failure::from);
                let done = match begun {
                    Ok(()) => table::run(self, command, &mut args, &mut ok).await,
                    Err(failure) => Err(failure),
                };
                self.finish(command.name, ok, done).await;
            }
            Found::Group(word) => {
                let failure = COMMANDS.not_in_group(word);
                self.finish(word, ok, Err(failure)).await;
            }
            Found::Unknown("") => {}
            Found::Unknown(word) => {
                let failure = COMMANDS.unknown(word);
                self.finish(word, ok, Err(failure)).await;
            }
        }
    }

    /// Prints a result line.
    pub(super) async fn finish(&self, command: &str, mut line: Text, done: Done) {
        let written = match done {
            Ok(()) => line.write_str("\n"),
            Err(failure) => {
                line = Text::new();
                failure.write_line(&mut line, command)
            }
        };
        self.start_line().await;
        let console = &self.services.console;
        match written {
            Ok(()) => console.print(line.as_str().as_bytes()).await,
            // Not even memory for the line: it is printed in pieces.
            Err(_) => {
                for piece in ["error ", command, " errno=ENOMEM status=- out of memory\n"] {
                    console.print(piece.as_bytes()).await;
                }
            }
        }
    }

    /// Goes to the start of a line.
    pub(super) async fn start_line(&self) {
        if !self.services.console.at_line_start() {
            self.services.console.print(b"\n").await;
        }
    }
}
