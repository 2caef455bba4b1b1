//! The hostile guest: does what it is told at its console, and nothing that an honest one would do.
#![no_std]
#![no_main]

use grantkit::Guest;
use tasks::{CrashKind, hostile};

grantkit::entry!(main);

async fn main(guest: Guest) {
    hostile::run(guest.services(), &|| grantkit::crash(CrashKind::Null)).await;
}
