//! A whole guest: shares a page with dom0 for ten seconds and says under which reference.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use grantkit::gntalloc::Export;
use grantkit::shared::SharedMut;
use grantkit::{Access, DomId, Error, Guest, Pages, Platform, Services, println};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let page = share(guest.services()).expect("the grant table has room for one page");
    page.grefs().for_each(|gref| println!("hello: shared a page with dom0, reference {gref}"));
    let system = &guest.services().system;
    system.sleep_until(system.now() + 10_000_000_000).await;
}

/// Generic over what it runs on, so that `cargo test` can run it on the crate `fake-xen`.
fn share<X: Platform>(services: &Services<X>) -> Result<Export<X>, Error> {
    let dom0 = DomId::new(0).expect("0 is an ordinary number");
    let page = services.gntalloc.open().alloc(dom0, Pages(1), Access::ReadOnly)?;
    page.write(0, b"hello, dom0").map(|()| page)
}
