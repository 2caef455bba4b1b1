// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest itself: its options, its help, its end.

use core::fmt::Write;
use core::pin::pin;

use drivers::Errno;
use drivers::memory::Platform;

use crate::machine::{CrashKind, Ending, Machine};
use crate::shell::args::Args;
use crate::shell::command::Command;
use crate::shell::options;
use crate::shell::reply::{Done, print_lines};
use crate::shell::state::Shell;
use crate::shell::table::COMMANDS;
use crate::shell::words::first_word;
use crate::text::{self, Quoted, Text};

impl<X: Platform, M: Machine> Shell<'_, X, M> {
    /// `set <option> <value>`
    pub(crate) fn set(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let (option, value) = (args.word("<option>")?, args.word("<value>")?);
        args.end()?;
        write!(ok, " option={option} value={value}")?;
        options::set(&self.services, &self.machine, option, value)
    }

    /// `help [command]`
    pub(crate) async fn help(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let commands = COMMANDS;
        let word = args.optional();
        if let Some(word) = word
            && commands.words().all(|known| known != word)
        {
            return Err(commands.unknown(word).with_errno(Errno::EINVAL));
        }
        // A command's second word may follow.
        args.optional();
        args.end()?;
        write!(ok, " commands=")?;
        let about = |known: &str| word.is_none_or(|word| word == known);
        text::list(ok, commands.words().filter(|known| about(known)))?;
        let named = |command: &&Command| Some(first_word(command.name()).0) == word;
        let mut named = commands.0.iter().filter(named);
        // Without a word, all groups.
        let mut groups = commands.groups().filter(|_| word.is_none());
        let mut end = word.is_none().then_some("help <command> has its arguments\n");
        let mut next = |to: &mut Text| {
            if let Some(command) = named.next() {
                let (what, example) = (command.about(), command.example());
                return Some(writeln!(to, "{command}\n    {what}: {example}"));
            }
            match groups.next() {
                Some(group) => Some(commands.write_group(to, group)),
                None => Some(to.write_str(end.take()?)),
            }
        };
        Ok(print_lines(&self.services.console, &mut next).await?)
    }

    /// `exit` and `quit`: the guest keeps running.
    pub(crate) fn exit(&mut self, args: &mut Args<'_>, _: &mut Text) -> Done {
        args.end()?;
        self.services.console.line_now("Ctrl-] leaves xl's console; poweroff ends the guest");
        Ok(())
    }

    /// `quit`
    pub(crate) fn quit(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        self.exit(args, ok)
    }

    /// `sleep <ms>`
    pub(crate) async fn sleep(&mut self, args: &mut Args<'_>, ok: &mut Text) -> Done {
        let ms = args.number("<ms>")?;
        args.end()?;
        self.wait_for(None, pin!(self.pause(ms))).await?;
        Ok(write!(ok, " ms={ms}")?)
    }

    /// `crash <how>`
    pub(crate) fn crash(&mut self, args: &mut Args<'_>, _: &mut Text) -> Done {
        let kind = match args.word("how to crash")? {
            "panic" => CrashKind::Panic,
            "null" => CrashKind::Null,
            "text" => CrashKind::Text,
            "rodata" => CrashKind::Rodata,
            "exec" => CrashKind::Exec,
            "stack" => CrashKind::Stack,
            other => return Err(args.wrong(format_args!("{} is no way to crash", Quoted(other)))),
        };
        args.end()?;
        self.ending = Some(Ending::Crash(kind));
        Ok(())
    }

    /// `poweroff`
    pub(crate) fn poweroff(&mut self, args: &mut Args<'_>, _: &mut Text) -> Done {
        args.end()?;
        self.ending = Some(Ending::Poweroff);
        Ok(())
    }

    /// `reboot`
    pub(crate) fn reboot(&mut self, args: &mut Args<'_>, _: &mut Text) -> Done {
        args.end()?;
        self.ending = Some(Ending::Reboot);
        Ok(())
    }
}
