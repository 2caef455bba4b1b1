//! What README.md shows: shares a page with dom0 for as long as the guest runs.
#![no_std]
#![no_main]
use grantkit::{Access, DomId, Guest, Pages, println, shared::SharedMut};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let dom0 = DomId::new(0).expect("0 is an ordinary number");
    let gntalloc = guest.services().gntalloc.open();
    let page = gntalloc.alloc(dom0, Pages(1), Access::ReadOnly).expect("one page");
    page.write(0, b"hello, dom0").expect("inside the page");
    page.grefs().for_each(|gref| println!("shared under reference {gref}"));
    core::future::pending().await
}
