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
     $($(#[$when:meta])* $name:literal $arguments:literal $about:literal => $run:expr,)*) => {
        /// All commands, in the order in which help lists them.
        pub(crate) static COMMANDS: Commands = Commands(&[$(
            $(#[$when])*
            Command { name: $name, arguments: $arguments, about: $about },
        )*]);

        /// Runs a command: it takes its arguments, does its work and appends its keys to `ok`.
        /// What a failing one has begun is undone by the time it fails.
        pub(crate) async fn run<X: Platform, M: Machine>(
            $shell: &mut Shell<'_, X, M>,
            command: &'static Command,
            $args: &mut Args<'_>,
            $ok: &mut Text,
        ) -> Done {
            match command.name {
                $($(#[$when])* $name => $run,)*
                other => Err(COMMANDS.unknown(other)),
            }
        }
    };
}

commands! { shell, args, ok;
    "share" "<domid> <pages> [ro]" "grants zeroed pages to a domain"
        => shell.share(args, ok),
    "map" "<domid> <ref,ref,...> [ro]" "maps pages that a domain has granted"
        => shell.map(args, ok).await,
    "read" "<id> <offset> <len>" "shows up to 256 bytes of a share or map"
        => shell.read(args, ok),
    "write" "<id> <offset> <text>" "writes the rest of the line"
        => shell.write(args, ok),
    "fill" "<id> <seed>" "fills a share or map with random words"
        => shell.fill(args, ok).await,
    "sum" "<id>" "the CRC-32 of a share or map"
        => shell.sum(args, ok).await,
    "state" "<id>" "what the peer does with each page, or how it is mapped"
        => shell.state(args, ok).await,
    "wait" "<id> [ms]" "waits until the peer maps no page of a share"
        => shell.wait(args, ok).await,
    "notify" "<id> [byte=<offset>] [event=<port>]" "what happens when it is let go of"
        => shell.notify(args, ok),
    "unmap" "<id>" "unmaps a map"
        => shell.unmap(args, ok),
    "unshare" "<id>" "lets go of a share"
        => shell.unshare(args, ok),
    "grants" "[domid]" "lists what is granted, mapped and parked"
        => shell.grants(args, ok).await,
    "port offer" "<domid>" "offers an event channel to a domain"
        => shell.port_offer(args, ok),
    "port bind" "<domid> <port>" "binds an event channel that a domain offers"
        => shell.port_bind(args, ok),
    "port send" "<port>" "sends an event"
        => shell.port_send(args, ok),
    "port wait" "<port> [ms]" "waits for an event"
        => shell.port_wait(args, ok).await,
    "port close" "<port>" "closes an event channel"
        => shell.port_close(args, ok),
    "xs read" "<path>" "the value of a xenstore node"
        => shell.xs_read(args, ok).await,
    "xs write" "<path> <value>" "sets one to the rest of the line"
        => shell.xs_write(args, ok).await,
    "xs list" "<path>" "the names below one"
        => shell.xs_list(args, ok).await,
    "xs rm" "<path>" "removes one and all below it"
        => shell.xs_rm(args, ok).await,
    #[cfg(feature = "channels")]
    "vchan serve" "<domid> <path> echo|sink|source <bytes> [ring=<n>] [packets=<seed>]"
        "serves a channel once"
        => shell.vchan_serve(args, ok).await,
    #[cfg(feature = "channels")]
    "vchan connect" "<domid> <path> echo|sink|source|ping <bytes or count> [packets=<seed>]" "uses one"
        => shell.vchan_connect(args, ok).await,
    #[cfg(feature = "channels")]
    "vchan cat" "<domid> <path>" "joins one and the console, up to Ctrl-D"
        => shell.vchan_cat(args, ok).await,
    "status" "" "what is in use"
        => shell.status(args, ok),
    "counters" "" "exact counts since boot"
        => shell.counters(args, ok).await,
    "set" "<option> <value>" "sets gntalloc.limit, gntdev.limit or loglevel"
        => shell.set(args, ok),
    "crash" "panic|null|text|rodata|exec|stack" "crashes the guest"
        => shell.crash(args),
    "selftest" "" "tests sharing with pages granted to itself"
        => shell.selftest(args, ok).await,
    "demo granter" "" "shares pages with each mapper that comes"
        => shell.demo_granter(args, ok).await,
    "demo mapper" "" "finds a granter and maps what it shares"
        => shell.demo_mapper(args, ok).await,
    "help" "[command]" "lists commands"
        => shell.help(args, ok, COMMANDS).await,
    "sleep" "<ms>" "waits"
        => shell.sleep(args, ok).await,
    "poweroff" "" "ends the guest"
        => shell.poweroff(args),
    "reboot" "" "ends the guest, to be started again"
        => shell.reboot(args),
}
