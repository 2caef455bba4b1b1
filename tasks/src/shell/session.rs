// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session: options, script, then typed lines.

use core::fmt::Write;

use drivers::Errno;
use drivers::memory::Platform;
use embassy_futures::yield_now;

use super::command::Found;
use super::complete::complete;
use super::editor::{Edit, Editor, LINE};
use super::options;
use super::reply::Failure;
use super::state::Shell;
use super::table::COMMANDS;
use crate::cmdline::{self, CommandLine};
use crate::machine::{Ending, Machine};
use crate::text::{Quoted, Text};

/// How long the end waits for a console that nobody reads: 2 s.
const DRAIN_NS: u64 = 2_000_000_000;
/// Clears a terminal's screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// Prints how much CPU time the boot took, which doesn't depend on other guests.
    pub(super) fn say_ready(&self) {
        let (mut line, us) = (Text::new(), self.machine.cpu() / 1_000);
        // If memory runs out, the line is left out.
        if write!(line, "ready after {}.{} ms of cpu", us / 1_000, us % 1_000 / 100).is_ok() {
            self.services.console.line_now(line.as_str());
        }
    }

    /// Ends the guest if a command asked for it; returns whether it did, for machines that return.
    pub(super) fn ended(&mut self) -> bool {
        let Some(ending) = self.ending.take() else {
            return false;
        };
        if !matches!(ending, Ending::Crash(_)) {
            // This sends peers their notifications.
            self.offers.clear();
            self.objects.clear();
            self.ports.clear();
        }
        // Output still in the ring when the guest ends is lost.
        let deadline = self.services.system.now() + DRAIN_NS;
        self.services.console.drain(deadline);
        match ending {
            Ending::Poweroff => self.machine.poweroff(),
            Ending::Reboot => self.machine.reboot(),
            Ending::Crash(kind) => self.machine.crash(kind),
        }
        true
    }

    /// Runs everything, from boot to the guest's end.
    pub(super) async fn session(&mut self, command_line: &str, mut editor: Editor) {
        let line = CommandLine::parse(command_line);
        self.apply_options(&line).await;
        for command in line.commands() {
            self.execute(command).await;
            if self.ended() {
                return;
            }
            yield_now().await;
        }
        loop {
            let line = match self.read_line(&mut editor).await {
                Edit::TooLong => Err(too_long()),
                Edit::Line => str::from_utf8(editor.line()).map_err(not_text),
                Edit::Leave => Ok("exit"),
                _ => Ok(""),
            };
            match line {
                Ok(line) => self.execute(line).await,
                Err(failure) => self.refuse(command_of(editor.line()), failure).await,
            }
            if self.ended() {
                return;
            }
            // Lines typed ahead must not starve other tasks.
            yield_now().await;
        }
    }

    /// Sets the options of the command line. Each wrong one is an error line.
    async fn apply_options(&mut self, line: &CommandLine<'_>) {
        if line.is_cut_off() {
            let failure = Failure::new(
                Errno::E2BIG,
                format_args!(
                    "the command line fills its {} bytes and was cut off; no script was run",
                    cmdline::MAX
                ),
            );
            self.refuse("cmdline", failure).await;
        }
        for option in line.options() {
            let set = match option {
                // It needs xenstore, and isn't an option of `set`.
                Ok(("prompt", value)) => self.set_prompt(value).await,
                Ok((option, value)) => options::set(&self.services, &self.machine, option, value),
                Err(word) => Err(Failure::invalid(format_args!(
                    "{} is no option; options are key=value, and a script follows \"--\"",
                    Quoted(word)
                ))),
            };
            if let Err(failure) = set {
                self.refuse("cmdline", failure).await;
            }
        }
    }

    /// Prompts, and reads until a line is finished.
    async fn read_line(&self, editor: &mut Editor) -> Edit {
        self.print_line(&[self.prompt()]).await;
        editor.begin(self.prompt());
        loop {
            let mut event = Edit::None;
            // Echoed together, since each piece of output is an event for the console daemon.
            while event == Edit::None
                && let Some(byte) = self.input.take()
            {
                event = editor.take(byte);
            }
            self.services.console.print(editor.echo()).await;
            editor.clear_echo();
            let listed;
            // What is printed before the prompt and the line are shown again.
            let [before, words, behind] = match event {
                Edit::None => {
                    self.input.typed().await;
                    continue;
                }
                Edit::Complete => {
                    listed = self.complete(editor).unwrap_or_default();
                    if listed.as_str().is_empty() {
                        continue;
                    }
                    ["\n", listed.as_str(), "\n"]
                }
                // A program never sees an escape sequence.
                Edit::Clear => [if editor.at_terminal() { CLEAR } else { "\n" }, "", ""],
                _ => return event,
            };
            self.print(before, &[words, behind, self.prompt()]).await;
            editor.begin_again(self.prompt());
        }
    }

    /// Completes the word before the cursor, or returns lines that list the candidates.
    fn complete(&self, editor: &mut Editor) -> Option<Text> {
        let ids = &mut self.objects.iter().map(|(id, _)| id);
        let done = complete(COMMANDS, str::from_utf8(editor.before()).ok()?, ids)?;
        editor.insert(done.more.as_str().as_bytes());
        Some(done.words)
    }
}

/// A line that is too long isn't run, not even in part.
fn too_long() -> Failure {
    Failure::new(
        Errno::E2BIG,
        format_args!("the line has more than {LINE} bytes; nothing of it was done"),
    )
}

fn not_text(error: core::str::Utf8Error) -> Failure {
    Failure::invalid(format_args!("byte {} of the line is not UTF-8", error.valid_up_to()))
}

/// The command in a line, as far as its bytes are text.
fn command_of(line: &[u8]) -> &str {
    let text = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    match COMMANDS.find(text) {
        Found::Command(command, _) => command.name(),
        Found::Group(word) | Found::Unknown(word) => {
            if word.is_empty() {
                "?"
            } else {
                word
            }
        }
    }
}
