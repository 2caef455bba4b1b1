// SPDX-License-Identifier: MIT OR Apache-2.0
//! The peer of a guest's shares and maps, in dom0: uses Linux's devices through Xen's own
//! libraries.
//!
//! It reads commands from its input and answers each with one line in the style of the guest's
//! shell, `ok <command> key=value ...` or `error <command> errno=<NAME> status=- <words>`. It ends
//! at `quit` or at the end of its input. Then it closes its handles without unmapping anything:
//! that is left to Linux, as when a program is killed.
//!
//! | command | keys of the ok line |
//! |---|---|
//! | `share <domid> <pages> [ro] [byte=<offset>] [event=<port>]` | id domid pages access refs |
//! | `map <domid> <ref,ref,...> [ro] [byte=<offset>] [event=<port>]` | id domid pages access |
//! | `read`, `write`, `fill`, `sum`, `unmap`, `unshare`, `port ...` | as the guest's shell |
//!
//! `byte` and `event` request the library's notification, which is for a single page.

mod arguments; // a command's arguments
mod commands; // the commands

use std::io::{BufRead, Write};
use std::process::ExitCode;

use self::commands::Peer;

fn main() -> ExitCode {
    let mut peer = match Peer::open() {
        Ok(peer) => peer,
        Err(error) => {
            eprintln!("peer: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "quit" {
            break;
        }
        // The caller may have gone away.
        let _ = writeln!(std::io::stdout(), "{}", peer.answer(&line));
    }
    peer.close();
    ExitCode::SUCCESS
}
