// SPDX-License-Identifier: MIT OR Apache-2.0
//! A complete guest: shares a page with dom0 for ten seconds, and prints its grant reference.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::time::Duration;

use grantkit::prelude::*;

grantkit::entry!(main);

async fn main(guest: Guest) {
    let page = share(guest.services()).expect("the grant table has room for one page");
    println!("hello: shared a page with dom0, reference {}", page.gref());
    guest.services().system.sleep(Duration::from_secs(10)).await;
}

/// Generic over the platform, so that `cargo test` can run it on the crate `fake-xen`.
fn share<X: Platform>(services: &Services<X>) -> Result<Export<X>, Error> {
    let page = services.gntalloc.open().alloc(DomId::DOM0, Pages(1), Access::ReadOnly)?;
    page.write(0, b"hello, dom0").map(|()| page)
}
