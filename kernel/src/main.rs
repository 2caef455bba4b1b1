//! The guest that `xl create` starts: the shell, with the command line as its first script.
#![no_std]
#![no_main]

use grantkit::Guest;
use tasks::shell;

grantkit::entry!(main);

async fn main(guest: Guest) {
    shell::run(guest.services().clone(), guest.clone(), &guest.command_line()).await;
}
