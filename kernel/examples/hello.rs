//! A whole guest: shares a page with dom0 for ten seconds and says under which reference.
#![no_std]
#![no_main]

use drivers::gntalloc::Export;
use drivers::shared::SharedMut;
use drivers::{Access, DomId, Error, Hypervisor, Services};
use grantkit::{Guest, Xen, println};

grantkit::entry!(main);

async fn main(guest: Guest) {
    let page = share(guest.services()).expect("the grant table has room for one page");
    page.grefs().for_each(|gref| println!("hello: shared a page with dom0, reference {gref}"));
    let xen = guest.services().xen;
    xen.sleep_until(xen.now() + 10_000_000_000).await;
}

fn share(services: &Services<Xen>) -> Result<Export<Xen>, Error> {
    let dom0 = DomId::new(0).expect("0 is an ordinary number");
    let page = services.gntalloc.open()?.alloc(dom0, 1, Access::ReadOnly)?;
    page.write(0, b"hello, dom0").map(|()| page)
}
