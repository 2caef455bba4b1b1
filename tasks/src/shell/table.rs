//! Every command: its words, its arguments, what it does.

use core::fmt;

use super::args::first_word;

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    /// The word or words before the arguments.
    pub(crate) name: &'static str,
    /// The arguments, as people are told.
    pub(crate) arguments: &'static str,
    /// What it does, in a few words.
    pub(crate) about: &'static str,
    /// The same for the dispatcher.
    pub(crate) verb: Verb,
}

macro_rules! commands {
    ($($verb:ident $name:literal $arguments:literal $about:literal,)*) => {
        /// Which command it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Verb { $($verb,)* }

        /// All commands, in the order in which help lists them.
        pub(crate) static COMMANDS: &[Command] = &[$(Command {
            name: $name,
            arguments: $arguments,
            about: $about,
            verb: Verb::$verb,
        },)*];
    };
}

commands! {
    Share "share" "<domid> <pages> [ro]" "grants zeroed pages to a domain",
    Map "map" "<domid> <ref,ref,...> [ro]" "maps pages that a domain has granted",
    Read "read" "<id> <offset> <len>" "shows up to 256 bytes of a share or map",
    Write "write" "<id> <offset> <text>" "writes the rest of the line",
    Fill "fill" "<id> <seed>" "fills a share or map with random words",
    Sum "sum" "<id>" "the CRC-32 of a share or map",
    State "state" "<id>" "what the peer does with each page, or how it is mapped",
    Wait "wait" "<id> [ms]" "waits until the peer maps no page of a share",
    Notify "notify" "<id> [byte=<offset>] [event=<port>]" "what happens when it is let go of",
    Unmap "unmap" "<id>" "unmaps a map",
    Unshare "unshare" "<id>" "lets go of a share",
    Grants "grants" "[domid]" "lists what is granted, mapped and parked",
    PortOffer "port offer" "<domid>" "offers an event channel to a domain",
    PortBind "port bind" "<domid> <port>" "binds an event channel that a domain offers",
    PortSend "port send" "<port>" "sends an event",
    PortWait "port wait" "<port> [ms]" "waits for an event",
    PortClose "port close" "<port>" "closes an event channel",
    XsRead "xs read" "<path>" "the value of a xenstore node",
    XsWrite "xs write" "<path> <value>" "sets one to the rest of the line",
    XsList "xs list" "<path>" "the names below one",
    XsRm "xs rm" "<path>" "removes one and all below it",
    Status "status" "" "what is in use",
    Counters "counters" "" "exact counts since boot",
    Set "set" "<option> <value>" "sets gntalloc.limit, gntdev.limit or loglevel",
    Crash "crash" "panic|null|text|rodata|exec|stack" "crashes the guest",
    Selftest "selftest" "" "tests sharing with pages granted to itself",
    DemoGranter "demo granter" "" "shares pages with each mapper that comes",
    DemoMapper "demo mapper" "" "finds a granter and maps what it shares",
    Help "help" "[command]" "lists commands",
    Sleep "sleep" "<ms>" "waits",
    Poweroff "poweroff" "" "ends the guest",
    Reboot "reboot" "" "ends the guest, to be started again",
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if !self.arguments.is_empty() {
            write!(f, " {}", self.arguments)?;
        }
        Ok(())
    }
}

/// What the first words of a line mean.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A command, and the rest of the line.
    Command(&'static Command, &'a str),
    /// The first word of several commands, and no second one of theirs.
    Group(&'static str),
    /// A word that no command has.
    Unknown(&'a str),
}

/// Finds the command of a line.
pub(crate) fn find(line: &str) -> Found<'_> {
    let (first, after_first) = first_word(line);
    let (second, after_second) = first_word(after_first);
    let mut group = None;
    for command in COMMANDS {
        match command.name.split_once(' ') {
            None if command.name == first => return Found::Command(command, after_first),
            Some((one, two)) if one == first => {
                if two == second {
                    return Found::Command(command, after_second);
                }
                group = Some(one);
            }
            _ => {}
        }
    }
    group.map_or(Found::Unknown(first), Found::Group)
}

/// The first words of all commands, each once.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let mut last = "";
    COMMANDS
        .iter()
        .map(|command| first_word(command.name).0)
        .filter(move |word| core::mem::replace(&mut last, word) != *word)
}

/// Words of commands that somebody may have meant with `word`, the nearest first.
pub(crate) fn near(word: &str) -> impl Iterator<Item = &'static str> {
    (1..=2).flat_map(move |wanted| words().filter(move |known| distance(word, known) == wanted))
}

/// How many characters have to be changed, added or left out. For words of commands, which are
/// short; anything much longer is just far.
fn distance(word: &str, known: &str) -> usize {
    const LONGEST: usize = 16;
    if word.len() > LONGEST || known.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: [usize; LONGEST + 1] = core::array::from_fn(|column| column);
    for (line, a) in word.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], line + 1);
        for (column, b) in known.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[known.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_word_that_is_nearly_a_command_finds_it() {
        let near = |word| near(word).collect::<Vec<_>>();
        assert_eq!(near("shre"), ["share"]);
        assert_eq!(near("maps"), ["map"]);
        assert_eq!(near("unshared"), ["unshare"]);
        assert_eq!(near("stat"), ["state", "status", "set"]);
        assert!(near("xyzzy").is_empty());
        assert!(near(&"x".repeat(8000)).is_empty());
    }

    #[test]
    fn a_command_of_two_words_is_found_by_both() {
        assert!(
            matches!(find("port  offer 1"), Found::Command(c, "1") if c.verb == Verb::PortOffer)
        );
        assert!(matches!(find("port"), Found::Group("port")));
        assert!(matches!(find("port shut 1"), Found::Group("port")));
        assert!(matches!(find("vchan cat"), Found::Unknown("vchan")));
    }
}
