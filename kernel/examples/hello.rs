//! A whole guest: shares a page with dom0 for ten seconds and says under which reference.
#![no_std]
#![no_main]
extern crate alloc;

use alloc::sync::Arc;
use drivers::gntalloc::{Export, GntAlloc};
use drivers::shared::SharedMut;
use drivers::{Access, DomId, Error, GrantTable, Hypervisor};
use grantkit::{Guest, Xen, println};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let page = share(&guest).expect("the grant table has room for one page");
    page.grefs()
        .for_each(|gref| println!("hello: shared a page with dom0, reference {gref}"));
    guest
        .xen()
        .sleep_until(guest.xen().now() + 10_000_000_000)
        .await;
}

fn share(guest: &Guest) -> Result<Export<Xen>, Error> {
    let table = Arc::new(GrantTable::bring_up(&guest.xen())?);
    let service = GntAlloc::new(&guest.xen(), table, guest.events().clone(), 1);
    let page = service
        .open()
        .alloc(DomId::new(0).expect("ordinary"), 1, Access::ReadOnly)?;
    page.write(0, b"hello, dom0").map(|()| page)
}
