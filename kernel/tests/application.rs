// SPDX-License-Identifier: MIT OR Apache-2.0
//! An application's own logic, tested as its author would: generic over the platform, on FakeXen.

use fake_xen::{Config, FakeXen, World};
use grantkit::drivers::Limits;
use grantkit::gntalloc::Export;
use grantkit::shared::SharedMut;
use grantkit::{Access, DomId, Error, Pages, Platform, Services};

/// As in examples/hello.rs.
fn share<X: Platform>(services: &Services<X>, peer: DomId) -> Result<Export<X>, Error> {
    let page = services.gntalloc.open().alloc(peer, Pages(1), Access::ReadOnly)?;
    page.write(0, b"hello").map(|()| page)
}

#[test]
fn an_application_is_tested_on_the_fake() {
    let xen: FakeXen = World::new().domain(1, Config::default());
    let services = Services::bring_up(xen.boot(), Limits::default()).expect("a guest comes up");
    let peer = DomId::new(2).expect("an ordinary number");
    let page = share(&services, peer).expect("there is room");
    assert_eq!((page.grefs().count(), services.gntalloc.in_use()), (1, 1));
    drop(page);
    assert_eq!(services.gntalloc.in_use(), 0);
    drop(services);
    xen.assert_clean();
}
