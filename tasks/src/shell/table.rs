// SPDX-License-Identifier: MIT OR Apache-2.0
//! All commands: their words, their arguments, and the functions that run them. A new command is a
//! row here and a function in `commands`.

use drivers::memory::Platform;

use super::args::Args;
use super::command::{Command, Commands};
use super::reply::Done;
use super::state::Shell;
use crate::machine::Machine;
use crate::text::Text;

/// Generates [`COMMANDS`] and [`run`] from the rows: `now` marks a plain function, `later` one that
/// waits.
macro_rules! commands {
    ($($group:literal {$(
         $(#[$attribute:meta])*
         $name:literal $arguments:literal $about:literal $example:literal => $when:ident $run:ident,
     )*})*) => {
        /// All commands, in the order in which help lists them.
        pub(crate) static COMMANDS: Commands = Commands(&[$($(
            $(#[$attribute])*
            Command {
                text: concat!(
                    $group, "\n", $name, "\n", $arguments, "\n", $about, "\n", $example
                ),
                which: Which::$run,
            },
        )*)*]);

        /// A command, named after the function that runs it.
        #[expect(non_camel_case_types, reason = "named as the functions are")]
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Which {
            $($($(#[$attribute])* $run,)*)*
        }

        /// Runs a command: it parses its arguments, does its work and appends its keys to `ok`. A
        /// failing command has undone everything it began.
        pub(crate) async fn run<X: Platform, M: Machine>(
            shell: &mut Shell<'_, X, M>,
            command: &'static Command,
            args: &mut Args<'_>,
            ok: &mut Text,
        ) -> Done {
            match command.which {
                $($($(#[$attribute])* Which::$run => way!($when Shell::$run, shell, args, ok),)*)*
            }
        }
    };
}

/// One command: `now` calls its function, `later` waits for it.
macro_rules! way {
    (now $run:path, $shell:ident, $args:ident, $ok:ident) => {
        $run($shell, $args, $ok)
    };
    (later $run:path, $shell:ident, $args:ident, $ok:ident) => {
        $run($shell, $args, $ok).await
    };
}

commands! {
    "memory" {
        "share" "<domid> <pages> [ro]" "grants zeroed pages to a domain" "share 2 8"
            => now share,
        "map" "<domid> <ref,ref,...> [ro]" "maps pages that a domain has granted" "map 1 8,9,10 ro"
            => later map,
        "read" "<id> <offset> <len>" "shows up to 256 bytes of a share or map" "read 1 0 16"
            => now read,
        "write" "<id> <offset> <text>" "writes the rest of the line" "write 1 0 hello"
            => now write,
        "fill" "<id> <seed>" "fills a share or map with random words" "fill 1 42"
            => later fill,
        "sum" "<id>" "the CRC-32 of a share or map" "sum 1"
            => later sum,
        "state" "<id>" "what the peer does with each page, or how it is mapped" "state 1"
            => later state,
        "wait" "<id> [ms]" "waits until the peer maps no page of a share" "wait 1 1000"
            => later wait,
        "notify" "<id> [byte=<offset>] [event=<port>]" "what happens when it is let go of" "notify 1 byte=0 event=5"
            => now notify,
        "unmap" "<id>" "unmaps a map" "unmap 2"
            => now unmap,
        "unshare" "<id>" "lets go of a share" "unshare 1"
            => now unshare,
        "grants" "[domid]" "lists what is granted, mapped and parked" "grants 2"
            => later grants,
    }
    "peers" {
        "peers" "" "lists who is there, and what they offer" "peers"
            => later peers,
        "offer" "<id> <name>" "offers a share to its peer by a name" "offer 1 frames"
            => later offer,
        "take" "<peer> <name> [ro]" "maps what a peer offers" "take granter frames"
            => later take,
    }
    "events" {
        "port offer" "<domid>" "offers an event channel to a domain" "port offer 2"
            => now port_offer,
        "port bind" "<domid> <port>" "binds an event channel that a domain offers" "port bind 1 5"
            => now port_bind,
        "port send" "<port>" "sends an event" "port send 5"
            => now port_send,
        "port wait" "<port> [ms]" "waits for an event" "port wait 5 1000"
            => later port_wait,
        "port close" "<port>" "closes an event channel" "port close 5"
            => now port_close,
    }
    "xenstore" {
        "xs read" "<path>" "the value of a xenstore node" "xs read domid"
            => later xs_read,
        "xs write" "<path> <value>" "sets one to the rest of the line" "xs write data/note hello"
            => later xs_write,
        "xs list" "<path>" "the names below one" "xs list data"
            => later xs_list,
        "xs rm" "<path>" "removes one and all below it" "xs rm data/note"
            => later xs_rm,
    }
    "channels" {
        #[cfg(feature = "channels")]
        "vchan serve" "<domid> <path> echo|sink|source <bytes> [ring=<n>] [packets=<seed>]" "serves a channel once" "vchan serve 2 data/echo echo 65536"
            => later vchan_serve,
        #[cfg(feature = "channels")]
        "vchan connect" "<domid> <path> echo|sink|source|ping <bytes or count> [packets=<seed>]" "uses one" "vchan connect 1 /local/domain/1/data/echo ping 100"
            => later vchan_connect,
        #[cfg(feature = "channels")]
        "vchan cat" "<domid> <path>" "joins one and the console, up to Ctrl-D" "vchan cat 1 /local/domain/1/data/echo"
            => later vchan_cat,
    }
    "guest" {
        "status" "" "what is in use" "status"
            => now status,
        "counters" "" "exact counts since boot" "counters"
            => later counters,
        "top" "[seconds]" "what is in use, each second until a key" "top 10"
            => later top,
        "set" "<option> <value>" "sets gntalloc.limit, gntdev.limit or loglevel" "set loglevel debug"
            => now set,
        "crash" "panic|null|text|rodata|exec|stack" "crashes the guest" "crash null"
            => now crash,
    }
    "tests" {
        "selftest" "" "tests sharing with pages granted to itself" "selftest"
            => later selftest,
        "demo granter" "" "shares pages with each mapper that comes" "demo granter"
            => later demo_granter,
        "demo mapper" "" "finds a granter and maps what it shares" "demo mapper"
            => later demo_mapper,
    }
    "session" {
        "help" "[command]" "lists commands" "help share"
            => later help,
        "sleep" "<ms>" "waits" "sleep 1000"
            => later sleep,
        "exit" "" "says how to leave the console" "exit"
            => now exit,
        "quit" "" "the same" "quit"
            => now quit,
        "poweroff" "" "ends the guest" "poweroff"
            => now poweroff,
        "reboot" "" "ends the guest, to be started again" "reboot"
            => now reboot,
    }
}
