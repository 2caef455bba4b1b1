//! The hostile guest: does what it is told at its console, and nothing that an honest one would do.
#![no_std]
#![no_main]

use grantkit::Crash;
use grantkit::Guest;
use trials::hostile;

grantkit::entry!(main);

async fn main(guest: Guest) {
    hostile::run(guest.services(), &|| grantkit::crash(Crash::Null)).await;
}
