//! The services don't expose Xen.

use drivers::{Services, System};
use fake_xen::FakeXen;

fn taking_xen_out_of_the_services_does_not_compile(
    services: Services<FakeXen>,
    system: System<FakeXen>,
) {
    let _ = system.0;
    let _ = services.gntdev.system().0;
    let _ = services.events.0;
    let _ = services.gntalloc.0;
    let _ = services.notices;
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
