//! The guest. Its logic is in the library, where the host can test it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use grantkit::prelude::*;

grantkit::entry!(main);

async fn main(guest: Guest) {
    match @crate@::greet(guest.services(), DomId::DOM0, b"hello, dom0") {
        Ok(page) => println!("shared a page with dom0: reference {}", page.gref()),
        Err(error) => println!("error: {error}"),
    }
}
