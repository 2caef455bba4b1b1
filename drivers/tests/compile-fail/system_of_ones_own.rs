//! A `System` comes only from the services.

use drivers::System;
use fake_xen::FakeXen;

fn making_a_system_of_a_xen_does_not_compile(xen: FakeXen) {
    let _ = System(xen);
}

fn main() {}
// SPDX-License-Identifier: MIT OR Apache-2.0
