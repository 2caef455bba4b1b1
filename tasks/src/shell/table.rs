// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every command: its words, its arguments, and what runs it. A new one is a row here and a
//! function in `commands`.

use drivers::memory::Platform;

use super::args::Args;
use super::command::{Command, Commands};
use super::reply::Done;
use super::state::Shell;
use crate::machine::Machine;
use crate::text::Text;

/// Makes [`COMMANDS`] and [`run`] of the rows.
macro_rules! commands {
    ($shell:ident, $args:ident, $ok:ident;
     $($group:literal {$(
         $(#[$when:meta])*
         $name:literal $arguments:literal $about:literal $example:literal => $run:expr,
     )*})*) => {
        /// All commands, in the order in which help lists them.
        pub(crate) static COMMANDS: Commands = Commands(&[$($(
            $(#[$when])*
            Command {
                group: $group,
                name: $name,
                arguments: $arguments,
                about: $about,
                example: $example,
            },
        )*)*]);

        /// Runs a command: it takes its arguments, does its work and appends its keys to `ok`.
        /// What a failing one has begun is undone by the time it fails.
        pub(crate) async fn run<X: Platform, M: Machine>(
            $shell: &mut Shell<'_, X, M>,
            command: &'static Command,
            $args: &mut Args<'_>,
            $ok: &mut Text,
        ) -> Done {
            match command.name {
                $($($(#[$when])* $name => $run,)*)*
                other => Err(COMMANDS.unknown(other)),
            }
        }
    };
}

commands! { shell, args, ok;
    "memory" {
        "share" "<domid> <pages> [ro]" "grants zeroed pages to a domain" "share 2 8"
            => shell.share(args, ok),
        "map" "<domid> <ref,ref,...> [ro]" "maps pages that a domain has granted" "map 1 8,9,10 ro"
            => shell.map(args, ok).await,
        "read" "<id> <offset> <len>" "shows up to 256 bytes of a share or map" "read 1 0 16"
            => shell.read(args, ok),
        "write" "<id> <offset> <text>" "writes the rest of the line" "write 1 0 hello"
            => shell.write(args, ok),
        "fill" "<id> <seed>" "fills a share or map with random words" "fill 1 42"
            => shell.fill(args, ok).await,
        "sum" "<id>" "the CRC-32 of a share or map" "sum 1"
            => shell.sum(args, ok).await,
        "state" "<id>" "what the peer does with each page, or how it is mapped" "state 1"
            => shell.state(args, ok).await,
        "wait" "<id> [ms]" "waits until the peer maps no page of a share" "wait 1 1000"
            => shell.wait(args, ok).await,
        "notify" "<id> [byte=<offset>] [event=<port>]" "what happens when it is let go of" "notify 1 byte=0 event=5"
            => shell.notify(args, ok),
        "unmap" "<id>" "unmaps a map" "unmap 2"
            => shell.unmap(args, ok),
        "unshare" "<id>" "lets go of a share" "unshare 1"
            => shell.unshare(args, ok),
        "grants" "[domid]" "lists what is granted, mapped and parked" "grants 2"
            => shell.grants(args, ok).await,
    }
    "events" {
        "port offer" "<domid>" "offers an event channel to a domain" "port offer 2"
            => shell.port_offer(args, ok),
        "port bind" "<domid> <port>" "binds an event channel that a domain offers" "port bind 1 5"
            => shell.port_bind(args, ok),
        "port send" "<port>" "sends an event" "port send 5"
            => shell.port_send(args, ok),
        "port wait" "<port> [ms]" "waits for an event" "port wait 5 1000"
            => shell.port_wait(args, ok).await,
        "port close" "<port>" "closes an event channel" "port close 5"
            => shell.port_close(args, ok),
    }
    "xenstore" {
        "xs read" "<path>" "the value of a xenstore node" "xs read domid"
            => shell.xs_read(args, ok).await,
        "xs write" "<path> <value>" "sets one to the rest of the line" "xs write data/note hello"
            => shell.xs_write(args, ok).await,
        "xs list" "<path>" "the names below one" "xs list data"
            => shell.xs_list(args, ok).await,
        "xs rm" "<path>" "removes one and all below it" "xs rm data/note"
            => shell.xs_rm(args, ok).await,
    }
    "channels" {
        #[cfg(feature = "channels")]
        "vchan serve" "<domid> <path> echo|sink|source <bytes> [ring=<n>] [packets=<seed>]" "serves a channel once" "vchan serve 2 data/echo echo 65536"
            => shell.vchan_serve(args, ok).await,
        #[cfg(feature = "channels")]
        "vchan connect" "<domid> <path> echo|sink|source|ping <bytes or count> [packets=<seed>]" "uses one" "vchan connect 1 /local/domain/1/data/echo ping 100"
            => shell.vchan_connect(args, ok).await,
        #[cfg(feature = "channels")]
        "vchan cat" "<domid> <path>" "joins one and the console, up to Ctrl-D" "vchan cat 1 /local/domain/1/data/echo"
            => shell.vchan_cat(args, ok).await,
    }
    "guest" {
        "status" "" "what is in use" "status"
            => shell.status(args, ok),
        "counters" "" "exact counts since boot" "counters"
            => shell.counters(args, ok).await,
        "set" "<option> <value>" "sets gntalloc.limit, gntdev.limit or loglevel" "set loglevel debug"
            => shell.set(args, ok),
        "crash" "panic|null|text|rodata|exec|stack" "crashes the guest" "crash null"
            => shell.crash(args),
    }
    "tests" {
        "selftest" "" "tests sharing with pages granted to itself" "selftest"
            => shell.selftest(args, ok).await,
        "demo granter" "" "shares pages with each mapper that comes" "demo granter"
            => shell.demo_granter(args, ok).await,
        "demo mapper" "" "finds a granter and maps what it shares" "demo mapper"
            => shell.demo_mapper(args, ok).await,
    }
    "session" {
        "help" "[command]" "lists commands" "help share"
            => shell.help(args, ok, COMMANDS).await,
        "sleep" "<ms>" "waits" "sleep 1000"
            => shell.sleep(args, ok).await,
        "exit" "" "says how to leave the console" "exit"
            => shell.exit(args),
        "quit" "" "the same" "quit"
            => shell.exit(args),
        "poweroff" "" "ends the guest" "poweroff"
            => shell.poweroff(args),
        "reboot" "" "ends the guest, to be started again" "reboot"
            => shell.reboot(args),
    }
}
