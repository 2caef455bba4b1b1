// SPDX-License-Identifier: MIT OR Apache-2.0
//! The other side of a guest's shares and maps, in dom0: Linux's devices through Xen's own
//! libraries.
//!
//! It reads commands on its input and answers each with one line in the style of the guest's shell,
//! `ok <command> key=value ...` or `error <command> errno=<NAME> status=- <words>`. It ends at
//! `quit` or with its input, and then closes its handles and unmaps nothing by itself: that is left
//! to Linux, as when a program is killed.
//!
//! | command | keys of the ok line |
//! |---|---|
//! | `share <domid> <pages> [ro] [byte=<offset>] [event=<port>]` | id domid pages access refs |
//! | `map <domid> <ref,ref,...> [ro] [byte=<offset>] [event=<port>]` | id domid pages access |
//! | `read`, `write`, `fill`, `sum`, `unmap`, `unshare`, `port ...` | as the guest's shell |
//!
//! `byte` and `event` are the library's notification, which takes a single page.

mod arguments; // what follows a command
mod commands; // what each does

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
        // Whoever asked may have gone away.
        let _ = writeln!(std::io::stdout(), "{}", peer.answer(&line));
    }
    peer.close();
    ExitCode::SUCCESS
}
