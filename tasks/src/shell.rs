// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shell: everything the guest can do, for people at the console and for programs.
//!
//! The script of the kernel command line runs first, then what is typed. Every command ends in
//! exactly one line, `ok <command> key=value ...` or `error <command> errno=.. status=.. words`, on
//! a line of its own. After a failed command, the next one still runs.
//!
//! The console is read concurrently with the commands, in the same task: input typed while a
//! command runs is kept for later, and Ctrl-C ends a wait immediately.
//!
//! `table` lists the commands; `commands` has what each does; `state` is what they work on.

mod args;
mod command;
mod commands;
mod complete;
mod display;
mod editor;
mod execute;
mod history;
mod input;
mod keys;
mod objects;
mod options;
mod reply;
mod search;
mod session;
mod state;
mod table;
mod words;

use drivers::Services;
use drivers::memory::Platform;
use embassy_futures::select::{Either3, select, select3};

use self::editor::Editor;
use self::input::Input;
use self::state::Shell;
pub use self::words::{first_word, number};
use crate::demo::Granter;
use crate::machine::Machine;
use crate::manners;

/// Runs the shell: applies the options of `command_line`, runs its script, then what is typed.
///
/// Returns only if a method of `machine` that ends the guest returns, as in tests.
pub async fn run<X: Platform, M: Machine>(services: Services<X>, machine: M, command_line: &str) {
    let (Some(input), Some(editor), Some(line)) =
        (Input::new(), Editor::new(), execute::set_aside())
    else {
        services.console.line_now("error shell errno=ENOMEM status=- too little memory to start");
        return machine.poweroff();
    };
    let console = services.console.clone();
    let (granter, plan) = (Granter::new(), machine.demo_plan());
    let mut shell = Shell::new(services.clone(), machine, &input, &granter, line);
    shell.say_ready();
    let beside = select(granter.serve(&services, plan), input.pump(&console));
    let first =
        select3(shell.session(command_line, editor), manners::mind(&services), beside).await;
    if let Either3::Second(ending) = first {
        shell.ending = Some(ending);
        shell.ended();
    }
}
