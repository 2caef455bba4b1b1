//! The guest itself: its options, its help, its end.

use core::fmt::Write;
use core::pin::pin;

use drivers::memory::Platform;

use crate::shell::args::{Args, first_word};
use crate::shell::reply::{Done, Lines};
use crate::shell::table::{self, COMMANDS, Command};
use crate::shell::{Ending, Shell, options};
use crate::text::Text;
use crate::{CrashKind, Machine};

/// `set <option> <value>`
pub(crate) fn set<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let (option, value) = (args.word("<option>")?, args.word("<value>")?);
    args.end()?;
    write!(ok, " option={option} value={value}")?;
    options::set(&shell.services, &shell.machine, option, value)
}

/// `help [command]`
pub(crate) async fn help<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let word = args.optional();
    if let Some(word) = word
        && table::words().all(|known| known != word)
    {
        return Err(super::unknown(word).with_errno(drivers::Errno::EINVAL));
    }
    // Both words of a command may be given.
    args.optional();
    args.end()?;
    write!(ok, " commands=")?;
    let about = |known: &str| word.is_none_or(|word| word == known);
    for (place, known) in table::words().filter(|known| about(known)).enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(ok, "{comma}{known}")?;
    }
    let mut lines = Lines::new(&shell.services.console);
    let named = |command: &&Command| about(first_word(command.name).0);
    for command in COMMANDS.iter().filter(named) {
        let what = command.about;
        lines.add(|line| write!(line, "  {command}: {what}")).await?;
    }
    lines.flush().await;
    Ok(())
}

/// `sleep <ms>`
pub(crate) async fn sleep<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
    ok: &mut Text,
) -> Done {
    let ms = args.number("<ms>")?;
    args.end()?;
    shell.wait(None, pin!(shell.sleep(ms))).await?;
    Ok(write!(ok, " ms={ms}")?)
}

/// `crash <how>`
pub(crate) fn crash<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
) -> Done {
    let kind = match args.word("how to crash")? {
        "panic" => CrashKind::Panic,
        "null" => CrashKind::Null,
        "text" => CrashKind::Text,
        "rodata" => CrashKind::Rodata,
        "exec" => CrashKind::Exec,
        "stack" => CrashKind::Stack,
        other => return Err(args.wrong(format_args!("{other:?} is no way to crash"))),
    };
    args.end()?;
    shell.ending = Some(Ending::Crash(kind));
    Ok(())
}

/// `poweroff`
pub(crate) fn poweroff<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
) -> Done {
    args.end()?;
    shell.ending = Some(Ending::Poweroff);
    Ok(())
}

/// `reboot`
pub(crate) fn reboot<X: Platform, M: Machine>(
    shell: &mut Shell<'_, X, M>,
    args: &mut Args<'_>,
) -> Done {
    args.end()?;
    shell.ending = Some(Ending::Reboot);
    Ok(())
}
