// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest that `xl create` starts: the shell, with the command line as its first script.
#![no_std]
#![no_main]

mod machine; // what the shell needs from the machine

use grantkit::Guest;
use tasks::shell;

use crate::machine::Metal;

grantkit::entry!(main);

async fn main(guest: Guest) {
    shell::run(guest.services().clone(), Metal(guest.clone()), &guest.command_line()).await;
}
