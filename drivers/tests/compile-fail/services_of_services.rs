//! The services are brought up together from one boot, and in no other way.

use drivers::events::Events;
use drivers::gntalloc::GntAlloc;
use drivers::gntdev::GntDev;
use fake_xen::FakeXen;

fn a_second_service_on_the_same_xen_does_not_compile() {
    let _ = Events::<FakeXen>::bring_up;
    let _ = GntAlloc::<FakeXen>::new;
    let _ = GntDev::<FakeXen>::new;
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
