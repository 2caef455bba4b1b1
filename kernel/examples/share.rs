// SPDX-License-Identifier: MIT OR Apache-2.0
//! What README.md shows: shares a page with dom0 for as long as the guest runs.
#![no_std]
#![no_main]
use grantkit::prelude::*;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let gntalloc = guest.services().gntalloc.open();
    let page = gntalloc.alloc(DomId::DOM0, Pages(1), Access::ReadOnly).expect("one page");
    page.write(0, b"hello, dom0").expect("inside the page");
    println!("shared under reference {}", page.gref());
    core::future::pending().await
}
