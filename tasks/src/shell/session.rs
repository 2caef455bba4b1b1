//! The shell's course: options, script, then line by line what is typed.

use drivers::Errno;
use drivers::memory::Platform;

use super::editor::{Editor, Event, LINE};
use super::reply::Failure;
use super::table::{self, Found};
use super::{Shell, options};
use crate::Machine;
use crate::cmdline::{self, CommandLine};
use crate::text::Text;

const PROMPT: &[u8] = b"grantkit> ";

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// Everything from the boot to the guest's end.
    pub(super) async fn session(&mut self, command_line: &str) {
        let line = CommandLine::parse(command_line);
        self.apply_options(&line).await;
        for command in line.commands() {
            self.execute(command).await;
            if self.ended() {
                return;
            }
        }
        let mut editor = Editor::new();
        loop {
            match self.read_line(&mut editor).await {
                Event::TooLong => self.refuse_long(editor.line()).await,
                Event::Line => match str::from_utf8(editor.line()) {
                    Ok(line) => self.execute(line).await,
                    Err(error) => self.refuse_bytes(editor.line(), error).await,
                },
                Event::None | Event::Dropped => {}
            }
            if self.ended() {
                return;
            }
        }
    }

    /// Sets what the command line says. What is wrong with it is an error line each.
    async fn apply_options(&mut self, line: &CommandLine<'_>) {
        if line.is_cut_off() {
            let failure = Failure::new(
                Errno::E2BIG,
                format_args!(
                    "the command line fills its {} bytes and was cut off; no script was run",
                    cmdline::MAX
                ),
            );
            self.finish("cmdline", Text::new(), Err(failure)).await;
        }
        for option in line.options() {
            let set = match option {
                Ok((option, value)) => options::set(&self.services, &self.machine, option, value),
                Err(word) => Err(Failure::invalid(format_args!(
                    "{word:?} is no option; options are key=value, and a script follows \"--\""
                ))),
            };
            if set.is_err() {
                self.finish("cmdline", Text::new(), set).await;
            }
        }
    }

    /// Prompts, and reads until a line is finished.
    async fn read_line(&self, editor: &mut Editor) -> Event {
        self.start_line().await;
        self.services.console.print(PROMPT).await;
        editor.begin();
        loop {
            let mut event = Event::None;
            // Echoed together: each piece of output is an event for the console daemon.
            while event == Event::None
                && let Some(byte) = self.input.take()
            {
                event = editor.take(byte);
            }
            self.services.console.print(editor.echo()).await;
            editor.clear_echo();
            if event != Event::None {
                return event;
            }
            self.input.typed().await;
        }
    }

    /// A line that is too long is not carried out in pieces.
    async fn refuse_long(&self, line: &[u8]) {
        let failure = Failure::new(
            Errno::E2BIG,
            format_args!("the line has more than {LINE} bytes; nothing of it was done"),
        );
        self.finish(command_of(line), Text::new(), Err(failure)).await;
    }

    async fn refuse_bytes(&self, line: &[u8], error: core::str::Utf8Error) {
        let failure =
            Failure::invalid(format_args!("byte {} of the line is not UTF-8", error.valid_up_to()));
        self.finish(command_of(line), Text::new(), Err(failure)).await;
    }
}

/// The command that a line would have been, as far as its bytes are text.
fn command_of(line: &[u8]) -> &str {
    let text = match str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
    };
    match table::find(text) {
        Found::Command(command, _) => command.name,
        Found::Group(word) | Found::Unknown(word) => {
            if word.is_empty() {
                "?"
            } else {
                word
            }
        }
    }
}
